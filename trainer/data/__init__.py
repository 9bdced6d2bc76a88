"""Examples on their way to training: files, parsing, decoding, batches, class counts and sampling."""
