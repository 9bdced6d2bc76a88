"""Argo's workflow of a run, which releases up to 2.17 keep.

The nodes in their answer for a run have neither names nor pods, and do not report what was cached.
The workflow does; version 1 of the API returns it.
"""

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.kubeflow.contract.package_format import Json

#: The node of a step's own container, which a cached step skips, by the backend's compiler.
_EXECUTOR = "executor"
#: The end of Argo's message for every step that failed by itself; its log has the reason.
_NO_REASON = "(exit code 1)"


@dataclass(frozen=True)
class EngineWorkflow:
    """The nodes of a workflow that ran the containers of steps.

    Attributes:
        name: of the workflow.
        executors: for each step its executor's nodes, in the order of their start.
        plain_names: pods are named by their nodes alone, as Argo before 3.4 did.
    """

    name: str
    executors: Mapping[str, tuple[Json, ...]]
    plain_names: bool = False

    def is_cached(self, step: str) -> bool:
        """Checks whether the outputs of a step are those of an earlier run."""
        return any(node.get("type") == "Skipped" for node in self.executors.get(step, ()))

    def pods(self, step: str) -> list[str]:
        """Returns the names of a step's pods, the last attempt first."""
        return [self._pod(node) for node in reversed(self._attempts(step))]

    def message(self, step: str) -> str:
        """Returns what ended the last attempt of a step, if that was not the step itself."""
        said = [str(node.get("message") or "") for node in self._attempts(step)[-1:]]
        return next((text for text in said if not text.endswith(_NO_REASON)), "")

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
    for node in sorted(nodes.values(), key=lambda one: (one.get("startedAt") or "", one["name"])):
        *_, step, last = ("", *_path(node["name"]))
        if last == _EXECUTOR:
            executors.setdefault(step, []).append(node)
    annotations = metadata.get("annotations") or {}
    return EngineWorkflow(
        metadata.get("name", ""),
        {step: tuple(found) for step, found in executors.items()},
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
