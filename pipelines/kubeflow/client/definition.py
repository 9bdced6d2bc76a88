"""Definition of a package: its steps, and which of them are gates.

A server reports a run's nodes as its engine made them: steps mixed with drivers, executors and
attempts, whose names depend on the release and its settings. Only the package defines the steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from pipelines.kubeflow.contract.package_format import Json
from pipelines.kubeflow.contract.signature import STOP_EXECUTOR, NodeSignature


@dataclass(frozen=True)
class Definition:
    """The steps of a package by the names of their tasks.

    Attributes:
        steps: all steps, each after those that it depends on.
        gates: steps that stop a run if a check has failed.
    """

    steps: tuple[str, ...] = ()
    gates: frozenset[str] = frozenset()


def definition_of(tree: Json) -> Definition:
    """Reads the definition in a PipelineSpec (protojson), with or without its platform document."""
    spec = tree.get("pipeline_spec") or tree.get("pipelineSpec") or tree
    tasks = list(_tasks(spec))
    return Definition(
        steps=tuple(name for name, _ in tasks),
        gates=frozenset(name for name, task in tasks if _is_gate(spec, task)),
    )


def _tasks(spec: Json) -> Iterator[tuple[str, Json]]:
    """Yields the tasks of the root and of nested graph components, each after what it needs."""
    for component in (spec.get("root", {}), *spec.get("components", {}).values()):
        tasks = component.get("dag", {}).get("tasks", {})
        needs = {name: tasks[name].get("dependentTasks", ()) for name in sorted(tasks)}
        try:
            order = list(TopologicalSorter(needs).static_order())
        except CycleError:  # no server takes it
            order = list(needs)
        yield from ((name, tasks[name]) for name in order if name in tasks)


def _is_gate(spec: Json, task: Json) -> bool:
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    container = executors.get(_executor(spec, task), {}).get("container", {})
    signature = NodeSignature.in_arguments(container.get("args", []))
    return signature is not None and signature.executor == STOP_EXECUTOR


def _executor(spec: Json, task: Json) -> str:
    component = spec.get("components", {}).get(task.get("componentRef", {}).get("name"), {})
    return str(component.get("executorLabel", ""))
