"""Scenes: rasters that are cut into tiles, with their labels."""
