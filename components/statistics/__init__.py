"""Statistics of the examples' scalars and labels, which never read an image."""
