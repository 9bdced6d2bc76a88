"""Metrics of a training's learning curve, for any task."""
