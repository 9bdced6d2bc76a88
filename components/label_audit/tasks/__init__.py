"""One module for each task: what is kept of an example, and the label issues that follow."""
