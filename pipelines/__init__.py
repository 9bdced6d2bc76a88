"""The one pipeline definition, its configuration, and the commands that run it."""
