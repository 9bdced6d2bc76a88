"""A run's record in releases up to 2.17: nodes of the workflow engine, metrics in ML Metadata.

The API reports a step's state. What was cached, its pods and the reason of a failure are in the
engine's workflow, and asked for only where they are needed.
"""

from collections.abc import Callable
from functools import cached_property

from pipelines.kubeflow.client.definition import Definition
from pipelines.kubeflow.client.engine_workflow import ROOT, EngineWorkflow
from pipelines.kubeflow.client.records import (
    ENDED,
    FAILED,
    SKIPPED,
    SUCCEEDED,
    StepRecord,
    message_of,
    plain_state,
)
from pipelines.kubeflow.contract.package_format import Json


class EngineNodes:
    """Nodes in `run_details.task_details`; implements `records.BackendRecord`."""

    def __init__(
        self,
        run: Json,
        definition: Definition,
        metadata: str,
        read_workflow: Callable[[], EngineWorkflow],
    ) -> None:
        """Stores the server's answer for a run.

        Args:
            run: the answer.
            definition: definition of the run's package; other nodes are not steps.
            metadata: `host:port` of the metadata store, or empty.
            read_workflow: asks for the engine's workflow of the run; called once, if at all.
        """
        self._run_id = str(run.get("run_id", ""))
        self._ended = plain_state(run.get("state")) in ENDED
        self._nodes: list[Json] = (run.get("run_details") or {}).get("task_details") or []
        self._definition = definition
        self._metadata = metadata
        self._read_workflow = read_workflow

    @cached_property
    def _workflow(self) -> EngineWorkflow:
        return self._read_workflow()

    def steps(self) -> list[StepRecord]:
        """Returns the steps, each once: several nodes may have the name of one.

        Cached steps are known only once a run has ended.
        """
        found: dict[str, StepRecord] = {}
        for node in self._nodes:
            name, state = node.get("display_name", ""), _state(node)
            known = found.get(name)
            if name in self._definition.steps and (known is None or known.state != FAILED):
                found[name] = self._record(name, state, node)
        return list(found.values())

    def pods(self, step: str) -> list[str]:
        """Returns the exact names of a step's pods, the last attempt first."""
        return self._workflow.pods(step)

    def failure(self) -> str:
        """Returns what failed outside of all steps, by the engine's workflow."""
        return self._workflow.failed_drivers().get(ROOT) or self._workflow.message

    def metrics(self) -> dict[str, float] | None:
        """Returns the metrics of the metadata store; None without its address."""
        from pipelines.kubeflow.client.lineage import run_metrics

        return run_metrics(self._metadata, self._run_id) if self._metadata else None

    def _record(self, name: str, state: str, node: Json) -> StepRecord:
        message = _message(node) if state == FAILED else ""
        if not self._ended:
            return StepRecord(name, state, message=message)
        if state == SKIPPED and (failed := self._workflow.failed_drivers().get(name)):
            return StepRecord(name, FAILED, message=failed)
        cached = state == SUCCEEDED and self._workflow.is_cached(name)
        if state == FAILED and not message:
            message = self._workflow.step_message(name)
        return StepRecord(name, state, cached, message)


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
