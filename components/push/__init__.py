"""Push of a checked model as a new version in the version folder."""
