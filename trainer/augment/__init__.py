"""Random views of whole batches, for training alone: pixels change, and the truth follows them."""
