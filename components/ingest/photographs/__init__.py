"""Photographs: class folders, manifests, and images with masks or boxes."""
