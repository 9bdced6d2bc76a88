"""Served answer of multi-label classification."""
