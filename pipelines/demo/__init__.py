"""The demonstration: a synthetic land-cover collection and predictions on it."""
