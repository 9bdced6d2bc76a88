"""Where replicas run, and how the workers of one training act together."""
