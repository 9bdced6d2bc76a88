"""Served answer of segmentation."""
