"""From the outputs of a model to the served answer, a module for each task."""
