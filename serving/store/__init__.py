"""Model versions in folders and object stores: pushed, listed, copied to servers."""
