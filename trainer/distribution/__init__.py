"""Placement of replicas, and synchronisation of the workers of one training."""
