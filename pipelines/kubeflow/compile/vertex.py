"""Checks a job for Vertex AI: refuses Kubernetes-only features and invalid names.

Vertex AI itself checks them only when a job is submitted or a step starts.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from components.raster.errors import ConfigError
from pipelines.config.kubeflow import StepConfig
from pipelines.kubeflow.contract.package_format import Json

#: A job's id, which is the pipeline's name and the time in 14 digits.
_JOB_ID = re.compile(r"[a-z][-a-z0-9]{0,127}")
_TIME = "-20260101000000"
#: Names of tasks, components and executors.
_PART = re.compile(r"[a-z0-9][-a-z0-9]{0,127}")
_PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,127}")
#: A bucket's name: https://cloud.google.com/storage/docs/buckets#naming
_LABEL = r"[a-z0-9](?:[-_a-z0-9]{0,61}[a-z0-9])?"
_ROOT = re.compile(rf"gs://(?=[^/]{{3,222}}(?:/|$)){_LABEL}(?:\.{_LABEL})*(/[^\s?#*\[\]]*)?")
_ACCELERATOR = re.compile(r"(NVIDIA|TPU)(_[A-Z0-9]+)+")
_ACCELERATORS = (1, 2, 4, 8, 16)
_LONGEST_DISPLAY_NAME = 128


def refuse_kubernetes_only(node: str, step: StepConfig) -> None:
    """Raises ConfigError for settings of a step that only Kubernetes supports."""
    used: Mapping[str, object] = {
        "volumes": step.volumes,
        "secret_variables": step.secret_variables,
        "secret_volumes": step.secret_volumes,
        "node_selector": step.node_selector,
        "labels": step.labels,
        "tolerations": step.tolerations,
        "tpu": step.tpu,
        "image_pull_policy": step.image_pull_policy,
        "timeout_s": step.timeout_s,
        "shared_memory": step.shared_memory,
    }
    if step.accelerator and not step.accelerator.vertex_type:
        raise ConfigError(
            f"{node}: Vertex AI needs accelerator.vertex_type, such as NVIDIA_L4, in addition to "
            f"Kubernetes' name {step.accelerator.resource}"
        )
    if names := [name for name, value in used.items() if value]:
        raise ConfigError(f"{node}: Vertex AI has no {', '.join(names)}; leave them out")


def require_vertex_names(job: Json) -> None:
    """Validates every name of a PipelineJob (protojson).

    Raises:
        ConfigError: Vertex AI does not accept some names; the message lists each.
    """
    if wrong := list(_wrong_names(job)):
        raise ConfigError("Vertex AI does not accept:\n" + "\n".join(f"  {one}" for one in wrong))


def _wrong_names(job: Json) -> Iterator[str]:
    spec, root = job["pipelineSpec"], job["runtimeConfig"]["gcsOutputDirectory"]
    if not _ROOT.fullmatch(root):
        yield f"kubeflow.pipeline_root {root!r}: Vertex AI needs it as gs://bucket/folder"
    name = spec["pipelineInfo"]["name"]
    if not _JOB_ID.fullmatch(name + _TIME):
        yield f"name {name!r}: the job's id, {name}-<time>, must match {_JOB_ID.pattern}"
    if not 0 < len(job["displayName"]) <= _LONGEST_DISPLAY_NAME:
        yield f"the display name {job['displayName']!r}: 1 to {_LONGEST_DISPLAY_NAME} characters"
    executors = spec["deploymentSpec"]["executors"]
    for part in (*spec["root"]["dag"]["tasks"], *spec["components"], *executors):
        if not _PART.fullmatch(part):
            yield f"the part {part!r}: it must match {_PART.pattern}"
    for parameter in spec["root"]["inputDefinitions"]["parameters"]:
        if not _PARAMETER.fullmatch(parameter):
            yield f"the parameter {parameter!r}: it must match {_PARAMETER.pattern}"
    for label, executor in executors.items():
        yield from _wrong_resources(label, executor["container"].get("resources", {}))


def _wrong_resources(label: str, resources: Mapping[str, Any]) -> Iterator[str]:
    for what in ("cpu", "memory"):
        request, limit = resources.get(f"{what}Request"), resources.get(f"{what}Limit")
        if request and limit and request > limit:
            yield f"{label}: {what}_request {request:g} is more than {what}_limit {limit:g}"
    accelerator = resources.get("accelerator")
    if accelerator and not _ACCELERATOR.fullmatch(accelerator["type"]):
        yield f"{label}: accelerator.vertex_type {accelerator['type']!r}: such as NVIDIA_L4"
    if accelerator and int(accelerator["count"]) not in _ACCELERATORS:
        counts = ", ".join(map(str, _ACCELERATORS))
        yield f"{label}: accelerator.count {accelerator['count']}: it is one of {counts}"
