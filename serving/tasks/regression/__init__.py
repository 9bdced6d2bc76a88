"""Served answer of regression."""
