"""A first configuration, proposed from the contents of a folder of images."""
