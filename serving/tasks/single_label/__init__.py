"""Served answer of single-label classification."""
