"""Examples of every kind of extension of a Skymill configuration."""
