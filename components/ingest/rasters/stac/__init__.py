"""Scenes that a STAC catalogue or API names."""
