"""What a served model computes beside its network: decoding, fitting, signatures, warm-up."""
