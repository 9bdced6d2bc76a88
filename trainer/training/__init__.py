"""One training: its configuration, stages, steps, checkpoints, progress and export."""
