"""Hyperparameter search over the trainer's configuration."""
