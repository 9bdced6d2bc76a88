"""The tasks, a module each: targets, outputs, loss and metrics."""
