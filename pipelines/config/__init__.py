"""The one configuration tree and its sections."""
