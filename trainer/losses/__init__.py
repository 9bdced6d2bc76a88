"""Losses of training, for any task."""
