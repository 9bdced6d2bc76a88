"""What is done about classes that are rare: weights, sampling, and the loss."""
