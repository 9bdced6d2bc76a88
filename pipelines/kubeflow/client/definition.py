"""What a package defines: its steps, and which of them are gates.

A server tells a run's nodes as its engine made them, the steps among drivers, executors and
attempts whose names depend on the release and its settings. The package alone says which are steps.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.kubeflow.contract.signature import STOP_EXECUTOR, Signature

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Definition:
    """The steps of a package by the names of their tasks, and the gates among them."""

    steps: frozenset[str] = frozenset()
    gates: frozenset[str] = frozenset()


def definition_of(tree: Json) -> Definition:
    """The definition in a PipelineSpec (protojson), with or without its platform document."""
    spec = tree.get("pipeline_spec") or tree.get("pipelineSpec") or tree
    tasks = list(_tasks(spec))
    return Definition(
        steps=frozenset(name for name, _ in tasks),
        gates=frozenset(name for name, task in tasks if _is_gate(spec, task)),
    )


def _tasks(spec: Json) -> Iterator[tuple[str, Json]]:
    """The tasks of the root and of the components that are graphs themselves."""
    for component in (spec.get("root", {}), *spec.get("components", {}).values()):
        yield from component.get("dag", {}).get("tasks", {}).items()


def _is_gate(spec: Json, task: Json) -> bool:
    component = spec.get("components", {}).get(task.get("componentRef", {}).get("name"), {})
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    container = executors.get(component.get("executorLabel"), {}).get("container", {})
    signature = Signature.in_arguments(container.get("args", []))
    return signature is not None and signature.executor == STOP_EXECUTOR
