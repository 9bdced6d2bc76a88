"""Accuracy assessment of a finished map: sample, labels, estimates with intervals.

Without labels it reports only where the model is unsure.
"""
