"""Asks a server of Kubeflow Pipelines; loads no compiler."""
