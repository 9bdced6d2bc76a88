"""The version served at this moment, as an artifact."""
