"""What a package defines: its steps, and which of them are gates.

A server tells a run's nodes as its engine made them, the steps among drivers, executors and
attempts whose names depend on the release and its settings. The package alone says which are steps.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.kubeflow.contract.signature import STOP_EXECUTOR, Signature

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Definition:
    """The steps of a package by the names of their tasks.

    Attributes:
        steps: all of them.
        gates: those that stop a run if a check has failed.
        labels: how many labels of its own the pod of a step has, where it has any; newer
            releases name its pod by that.
    """

    steps: frozenset[str] = frozenset()
    gates: frozenset[str] = frozenset()
    labels: Mapping[str, int] = field(default_factory=dict)


def definition_of(tree: Json) -> Definition:
    """The definition in a PipelineSpec (protojson), with or without its platform document."""
    spec = tree.get("pipeline_spec") or tree.get("pipelineSpec") or tree
    platform = tree.get("platform_spec") or tree.get("platformSpec") or {}
    tasks = list(_tasks(spec))
    labels = {name: _label_count(spec, platform, task) for name, task in tasks}
    return Definition(
        steps=frozenset(name for name, _ in tasks),
        gates=frozenset(name for name, task in tasks if _is_gate(spec, task)),
        labels={name: count for name, count in labels.items() if count},
    )


def _tasks(spec: Json) -> Iterator[tuple[str, Json]]:
    """The tasks of the root and of the components that are graphs themselves."""
    for component in (spec.get("root", {}), *spec.get("components", {}).values()):
        yield from component.get("dag", {}).get("tasks", {}).items()


def _is_gate(spec: Json, task: Json) -> bool:
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    container = executors.get(_executor(spec, task), {}).get("container", {})
    signature = Signature.in_arguments(container.get("args", []))
    return signature is not None and signature.executor == STOP_EXECUTOR


def _label_count(spec: Json, platform: Json, task: Json) -> int:
    kubernetes = platform.get("platforms", {}).get("kubernetes", {})
    pods = kubernetes.get("deploymentSpec", {}).get("executors", {})
    return len(pods.get(_executor(spec, task), {}).get("podMetadata", {}).get("labels", {}))


def _executor(spec: Json, task: Json) -> str:
    component = spec.get("components", {}).get(task.get("componentRef", {}).get("name"), {})
    return str(component.get("executorLabel", ""))
