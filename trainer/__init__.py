"""From examples to a model that can be served: data, model, fit, strategy and export."""
