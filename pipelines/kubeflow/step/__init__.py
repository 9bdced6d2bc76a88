"""Runs inside the container of a step, under the launcher of Kubeflow Pipelines."""
