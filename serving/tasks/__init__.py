"""Conversion of a model's outputs to the served outputs, a module for each task."""
