"""Handling of rare classes: weights, sampling, and the loss."""
