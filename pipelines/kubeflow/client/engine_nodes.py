"""A run's record in releases up to 2.17: nodes of the workflow engine, metrics in ML Metadata.

The API reports a step's state and nodes, but neither its pods' names nor a reason. A pod is named
by the workflow, the template and the node's number, and the template by the backend: those of 2.5
to 2.17 are tried.
"""

from collections.abc import Iterator, Mapping

from pipelines.kubeflow.client.definition import Definition
from pipelines.kubeflow.client.records import (
    FAILED,
    SKIPPED,
    Json,
    StepRecord,
    message_of,
    plain_state,
)

_TEMPLATES = (
    "system-container-impl",
    "retry-system-container-impl",
    "{step}-system-container-impl",
)
_EXECUTOR = "executor"


class EngineNodes:
    """Nodes in `run_details.task_details`; implements `records.BackendRecord`."""

    def __init__(self, run: Json, definition: Definition, metadata: str) -> None:
        """Takes the server's answer for a run; see `records.record_of`."""
        self._run_id = str(run.get("run_id", ""))
        self._nodes: list[Json] = (run.get("run_details") or {}).get("task_details") or []
        self._definition = definition
        self._metadata = metadata

    def steps(self) -> list[StepRecord]:
        """Returns the steps, each once: several nodes may have the name of one."""
        found: dict[str, StepRecord] = {}
        for node in self._nodes:
            name, state = node.get("display_name", ""), _state(node)
            known = found.get(name)
            if name in self._definition.steps and (known is None or known.state != FAILED):
                message = _message(node) if state == FAILED else ""
                found[name] = StepRecord(name, state, message=message)
        return list(found.values())

    def pods(self, step: str) -> list[str]:
        """Returns names that a step's pods may have in one of the known releases."""
        return list(self._pod_names(step))

    def metrics(self) -> dict[str, float] | None:
        """Returns the metrics of the metadata store; None without its address."""
        from pipelines.kubeflow.client.lineage import run_metrics

        return run_metrics(self._metadata, self._run_id) if self._metadata else None

    def _pod_names(self, step: str) -> Iterator[str]:
        labels = self._definition.labels.get(step, 0)
        templates = [f"metadata-0-{labels}-{one}" for one in _TEMPLATES[:2]] if labels else []
        templates += _TEMPLATES
        for node in self._below(step):
            workflow, _, number = node.rpartition("-")
            if workflow:
                names = (template.format(step=step) for template in templates)
                yield from (f"{workflow}-{name}-{number}" for name in names)

    def _below(self, step: str) -> list[str]:
        """Returns the nodes below a step, which include its pods, deepest and latest first.

        Of a failed step they are the failed ones. If the server does not name the nodes, it returns
        the only failed executor.
        """
        level = [node for node in self._nodes if node.get("display_name") == step]
        failed = [node for node in self._nodes if node.get("state") == FAILED]
        has_failed = any(node in failed for node in level)
        nodes = failed if has_failed else self._nodes
        known: Mapping[str, Json] = {n["pod_name"]: n for n in nodes if n.get("pod_name")}
        level = [node for node in level if node in nodes]
        executors = [node for node in failed if node.get("display_name") == _EXECUTOR]
        if has_failed and not known and len(executors) == 1:
            level += executors
        found: list[str] = []
        while level:
            below = [one.get("pod_name") for node in level for one in node.get("child_tasks") or []]
            new = [pod for pod in dict.fromkeys(below) if pod and pod not in found]
            found += new
            level = [known[pod] for pod in new if pod in known]
        return found[::-1]


def _state(node: Json) -> str:
    """Returns the state; a node that has ended without one was omitted, and has none to report."""
    omitted = not node.get("state") and _has_ended(node)
    return SKIPPED if omitted else plain_state(node.get("state"))


def _has_ended(node: Json) -> bool:
    """Checks the end, which is in the year 1 for a node that has not ended."""
    end = str(node.get("end_time") or "")
    return bool(end) and not end.startswith("0001-")


def _message(node: Json) -> str:
    known = [message_of(one.get("error")) for one in reversed(node.get("state_history") or [])]
    return next((text for text in [*known, message_of(node.get("error"))] if text), "")
