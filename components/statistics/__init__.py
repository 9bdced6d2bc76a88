"""Statistics of the examples' scalars and labels; never reads an image."""
