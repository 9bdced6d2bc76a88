"""Measurement of each task: truth, answer, and one mergeable tally, in numpy."""
