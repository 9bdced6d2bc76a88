"""Search for wrong labels in the examples of a run."""
