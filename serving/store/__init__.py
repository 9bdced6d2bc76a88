"""Versions of a model in folders and object stores: pushed, listed, copied to servers."""
