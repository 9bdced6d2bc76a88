"""The search for good values of the trainer's configuration."""
