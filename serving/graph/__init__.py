"""Served computations around the network: decoding, fitting, signatures, warm-up."""
