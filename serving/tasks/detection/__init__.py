"""Served answer of detection."""
