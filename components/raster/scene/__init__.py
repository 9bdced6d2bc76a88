"""A georeferenced acquisition: what it is and where it lies, before a pixel is read."""
