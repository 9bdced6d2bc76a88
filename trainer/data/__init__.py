"""Examples on their way to training: files, parsing, decoding, batches, counts and sampling."""
