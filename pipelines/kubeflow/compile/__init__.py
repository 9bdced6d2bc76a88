"""Compiles a configuration to the package that Kubeflow Pipelines or Vertex AI runs."""
