"""From what a model gives to the answer that a user reads, a module for each task, in the graph."""
