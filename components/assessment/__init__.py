"""Accuracy assessment of a finished map: sample, labels, estimates with intervals.

Without labels nothing is claimed but where the model is unsure.
"""
