"""Charts of a run's page: pure functions from plain values to inline SVG without scripts."""
