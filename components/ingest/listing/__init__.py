"""Ways to find images, for any family of sources: class folders and manifests."""
