"""Search for wrong labels: what a model that never saw an example says against its label."""
