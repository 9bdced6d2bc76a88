"""Explanations of a model: gradients in the graph, and methods that only ask for answers."""
