"""Georeferenced acquisitions, described from metadata before any pixel is read."""
