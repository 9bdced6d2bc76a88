"""The same pipeline on Kubeflow Pipelines 2.x: compiled, lowered, and run in containers."""
