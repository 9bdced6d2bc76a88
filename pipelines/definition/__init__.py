"""The pipeline, defined once for every place that runs it."""
