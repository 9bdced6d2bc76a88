"""Training: from examples to a servable model (data, network, fit, strategy and export)."""
