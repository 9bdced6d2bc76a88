"""Strict validation of packages by a round trip through Kubeflow's own protobufs."""

from typing import Any

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from pipelines.kubeflow.contract.package_format import Json


def strict_spec(spec: Json) -> Json:
    """Returns the PipelineSpec after the round trip, its deployment through its own message.

    Raises:
        ValueError: a field is unknown, has a wrong type, or is lost in the round trip.
    """
    through = _round_trip(spec, pipeline_spec_pb2.PipelineSpec())
    through["deploymentSpec"] = _round_trip(
        spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig()
    )
    return through


def strict_job(job: Json) -> Json:
    """Returns Vertex AI's PipelineJob after the round trip, its spec through `strict_spec`.

    Raises:
        ValueError: as `strict_spec`.
    """
    through = _round_trip(job, pipeline_spec_pb2.PipelineJob())
    return {**through, "pipelineSpec": strict_spec(job["pipelineSpec"])}


def strict_platform(document: Json) -> Json:
    """Returns the platform document after the round trip, executors by kfp-kubernetes' message.

    Raises:
        ValueError: as `strict_spec`.
    """
    _round_trip(document, pipeline_spec_pb2.PlatformSpec())
    for executor in _executors(document).values():
        _round_trip(executor, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    return document


def _executors(document: Json) -> Json:
    found: Json = document
    for name in ("platforms", "kubernetes", "deploymentSpec", "executors"):
        found = found.get(name, {})
    return found


def _round_trip(tree: Json, message: Any) -> Json:
    try:
        json_format.ParseDict(tree, message)
    except json_format.ParseError as error:
        raise ValueError(f"Kubeflow does not know this: {error}") from error
    through: Json = json_format.MessageToDict(message)
    if lost := list(_lost(tree, through)):
        raise ValueError(f"lost in the round trip through Kubeflow's protobufs: {', '.join(lost)}")
    return through


def _lost(before: Any, after: Any, path: str = "") -> Any:
    """Yields the paths of values that the round trip lost; 2 and 2.0 are equal."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            yield from _lost(before.get(name), after.get(name), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _lost(one, other, f"{path}[{index}]")
    elif before != after:
        yield f"{path.lstrip('.')} ({before!r} became {after!r})"
