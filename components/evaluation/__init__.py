"""Evaluation of the candidate against the test split, its thresholds and the served version."""
