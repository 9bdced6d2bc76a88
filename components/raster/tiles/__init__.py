"""Tiles of a scene: planned before a pixel is read, read in ranges of blocks."""
