"""Visual report of a training: examples with their predictions, and confusions."""
