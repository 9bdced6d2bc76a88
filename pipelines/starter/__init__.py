"""A first configuration, proposed from a look at a folder of images."""
