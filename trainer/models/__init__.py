"""The networks: bodies from pixels to features, and the heads on top of them."""
