"""Truth of an example: one module for each task, with its rules for shapes and masks."""
