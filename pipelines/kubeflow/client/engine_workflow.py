"""Argo's workflow of a run, which releases up to 2.17 keep.

The nodes in their answer for a run have neither names nor pods, and do not report what was cached.
The workflow does; version 1 of the API returns it.
"""

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.kubeflow.contract.package_format import Json

#: The node of a step's own container, which a cached step skips, by the backend's compiler.
_EXECUTOR = "executor"
#: Suffix of the name of the node that prepares a step or a graph.
_DRIVER = "-driver"
#: The name of the pipeline's own graph.
ROOT = "root"
_FAILED, _PENDING = ("Failed", "Error"), "Pending"
#: The end of Argo's message for every step that failed by itself; its log has the reason.
_NO_REASON = "(exit code 1)"


@dataclass(frozen=True)
class EngineWorkflow:
    """The nodes of a workflow that ran containers.

    Attributes:
        name: name of the workflow.
        executors: for each step its executor's nodes, in the order of their start.
        drivers: for each step, and for `ROOT`, the nodes of its driver's pods in that order. A step
            whose driver has failed has no executor.
        message: Argo's for the workflow as a whole, or empty.
        plain_names: pods are named by their nodes alone, as Argo before 3.4 did.
    """

    name: str
    executors: Mapping[str, tuple[Json, ...]]
    drivers: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    message: str = ""
    plain_names: bool = False

    def is_cached(self, step: str) -> bool:
        """Checks whether the outputs of a step are those of an earlier run."""
        return any(node.get("type") == "Skipped" for node in self.executors.get(step, ()))

    def pods(self, step: str) -> list[str]:
        """Returns the names of a step's pods, the last attempt first; else those of its driver."""
        nodes = self._attempts(step) or self.drivers.get(step, ())
        return [self._pod(node) for node in reversed(nodes)]

    def step_message(self, step: str) -> str:
        """Returns what ended the last attempt of a step, if that was not the step itself."""
        said = [str(node.get("message") or "") for node in self._attempts(step)[-1:]]
        return next((text for text in said if not text.endswith(_NO_REASON)), "")

    def failed_drivers(self) -> dict[str, str]:
        """Returns Argo's message for each step, or `ROOT`, whose driver ended the run."""
        last = {step: nodes[-1] for step, nodes in self.drivers.items()}
        return {
            step: f"Kubeflow's driver failed: {node.get('message') or node['phase']}"
            for step, node in last.items()
            if node.get("phase") in _FAILED
        }

    def waiting(self) -> dict[str, str]:
        """Returns Kubernetes' reason for each step, or `ROOT`, whose pod cannot start.

        A pod that is merely slow to start has a reason without a message, such as
        `PodInitializing`.
        """
        drivers = {step: nodes[-1] for step, nodes in self.drivers.items()}
        steps = {step: found[-1] for step in self.executors if (found := self._attempts(step))}
        said = {
            step: str(node.get("message") or "")
            for step, node in (drivers | steps).items()
            if node.get("phase") == _PENDING
        }
        return {step: message for step, message in said.items() if ": " in message}

    def _attempts(self, step: str) -> list[Json]:
        return [node for node in self.executors.get(step, ()) if node.get("type") == "Pod"]

    def _pod(self, node: Json) -> str:
        if self.plain_names:
            return str(node["id"])
        return f"{self.name}-{node['templateName']}-{node['id'].rpartition('-')[2]}"


def workflow_of(answer: Json) -> EngineWorkflow:
    """Returns the workflow in an answer of `GET v1beta1/runs/{id}`; without one it has no nodes."""
    text = (answer.get("pipeline_runtime") or {}).get("workflow_manifest")
    tree = json.loads(text or "{}")
    metadata, status = tree.get("metadata") or {}, tree.get("status") or {}
    nodes = status.get("nodes") or _unpacked(status.get("compressedNodes"))
    executors: dict[str, list[Json]] = {}
    drivers: dict[str, list[Json]] = {}
    for node in sorted(nodes.values(), key=lambda one: (one.get("startedAt") or "", one["name"])):
        *_, step, last = ("", *_path(node["name"]))
        if last == _EXECUTOR:
            executors.setdefault(step, []).append(node)
        elif node.get("type") == "Pod" and last.endswith(_DRIVER):
            drivers.setdefault(last.removesuffix(_DRIVER), []).append(node)
    annotations = metadata.get("annotations") or {}
    return EngineWorkflow(
        metadata.get("name", ""),
        {step: tuple(found) for step, found in executors.items()},
        {step: tuple(found) for step, found in drivers.items()},
        str(status.get("message") or ""),
        annotations.get("workflows.argoproj.io/pod-name-format") == "v1",
    )


def _path(name: str) -> list[str]:
    """Returns the names of a node and of those around it, outermost first.

    >>> _path("tiny-x7k2p(0).root(0).ingest(0).executor(1)")
    ['tiny-x7k2p', 'root', 'ingest', 'executor']
    """
    return [one.partition("(")[0] for one in name.split(".")]


def _unpacked(nodes: str | None) -> dict[str, Json]:
    """Returns the nodes of a large workflow, which Argo compresses."""
    return dict(json.loads(gzip.decompress(base64.b64decode(nodes)))) if nodes else {}
