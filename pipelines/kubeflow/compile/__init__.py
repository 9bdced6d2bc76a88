"""Compiler from a configuration to a package for Kubeflow Pipelines or Vertex AI."""
