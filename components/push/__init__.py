"""From a checked model to a new version in the version folder."""
