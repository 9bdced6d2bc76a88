"""The HTML page of a run: data, learning curve, metrics and gate reports."""
