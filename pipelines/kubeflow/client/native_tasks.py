"""A run's record in releases without ML Metadata: the API's own tasks.

The driver of a step creates its task, and the launcher reports its pod and its end when it ends.
The end of a step whose pod was killed, and the pod of a running step, are only in the engine's
workflow, which is requested only for them.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

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

#: The end of the launcher's message for every step that failed by itself; its log has the reason.
_NO_REASON = "exit status 1"
_CACHED = "CACHED"


class NativeTasks:
    """Tasks as `GET runs/{id}?view=FULL` returns them; implements `records.BackendRecord`."""

    def __init__(
        self, run: Json, definition: Definition, read_workflow: Callable[[], EngineWorkflow]
    ) -> None:
        """Stores the server's answer for a run.

        Args:
            run: the answer; ROOT and other tasks that the package does not name are not steps.
            definition: definition of the run's package.
            read_workflow: asks for the engine's workflow of the run; called once, if at all.
        """
        self._all: list[Json] = run.get("tasks") or []
        self._ended = plain_state(run.get("state")) in ENDED
        self._failed = plain_state(run.get("state")) == FAILED
        self._tasks = {one["name"]: one for one in self._all if one.get("name") in definition.steps}
        self._definition = definition
        self._read_workflow = read_workflow

    @cached_property
    def _workflow(self) -> EngineWorkflow:
        return self._read_workflow()

    def steps(self) -> list[StepRecord]:
        """Returns the steps; a cached one has succeeded.

        After the end of the run those without a task are skipped: none of them began.
        """
        found = [self._record(task) for task in self._tasks.values()]
        if self._ended:
            left = (name for name in self._definition.steps if name not in self._tasks)
            found += [self._left(name) for name in left]
        return found

    def pods(self, step: str) -> list[str]:
        """Returns the exact names of a step's pods, the last attempt first."""
        pods = self._tasks[step].get("pods", []) if step in self._tasks else []
        names = [pod["name"] for pod in reversed(pods) if pod.get("type") == "EXECUTOR"]
        known = plain_state(self._tasks.get(step, {}).get("state"))
        return names if known in (SUCCEEDED, FAILED) and names else self._workflow.pods(step)

    def failure(self) -> str:
        """Returns what failed outside of all steps, by the engine's workflow."""
        return self._workflow.failed_drivers().get(ROOT) or self._workflow.message

    def metrics(self) -> dict[str, float]:
        """Returns the metrics of all tasks; each metric is an artifact of its own."""
        found: dict[str, float] = {}
        for task in self._all:
            for output in (task.get("outputs") or {}).get("artifacts", []):
                for artifact in output.get("artifacts", []):
                    if artifact.get("type") == "Metric" and "number_value" in artifact:
                        found[artifact["name"]] = float(artifact["number_value"])
        return dict(sorted(found.items()))

    def _record(self, task: Json) -> StepRecord:
        name, state = task["name"], plain_state(task.get("state"))
        if state == _CACHED:
            return StepRecord(name, SUCCEEDED, cached=True)
        if self._ended and state not in ENDED:
            message = self._workflow.step_message(name)
            return StepRecord(name, FAILED, message=message or self._driver(name))
        return StepRecord(name, state, message=_message(task) if state == FAILED else "")

    def _left(self, name: str) -> StepRecord:
        """Returns the record of a step without a task, which its driver would have made."""
        failed = self._driver(name)
        return StepRecord(name, FAILED if failed else SKIPPED, message=failed)

    def _driver(self, name: str) -> str:
        # The workflow of a run that succeeded has nothing to add.
        return self._workflow.failed_drivers().get(name, "") if self._failed else ""


def _message(task: Json) -> str:
    known: list[Any] = [(task.get("status_metadata") or {}).get("message")]
    known += [message_of(one.get("error")) for one in reversed(task.get("state_history") or [])]
    return next((text for text in known if text and not text.endswith(_NO_REASON)), "")
