"""From example files to batches: parsing, decoding, class counts, sampling."""
