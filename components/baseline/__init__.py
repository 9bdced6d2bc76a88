"""The version being served at this moment, as an artifact."""
