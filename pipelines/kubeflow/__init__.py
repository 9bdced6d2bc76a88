"""The pipeline on Kubeflow Pipelines 2.x: compiled, lowered, submitted, run in containers."""

from pipelines.kubeflow.client.session import Run, Session, connect

__all__ = ["Run", "Session", "connect"]
