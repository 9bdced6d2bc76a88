"""Predictions of every task as text, JSON and files."""
