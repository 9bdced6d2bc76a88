"""Imagery of any source becomes examples and rejects; nothing is lost on the way."""
