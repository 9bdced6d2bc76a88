"""A run's record in releases without ML Metadata: the API's own tasks."""

from collections.abc import Sequence
from typing import Any

from pipelines.kubeflow.client.definition import Definition
from pipelines.kubeflow.client.records import FAILED, SUCCEEDED, StepRecord, message_of, plain_state
from pipelines.kubeflow.contract.package_format import Json

#: The end of the launcher's message for every step that failed by itself; its log has the reason.
_NO_REASON = "exit status 1"


class NativeTasks:
    """Tasks as `GET runs/{id}?view=FULL` returns them; implements `records.BackendRecord`."""

    def __init__(self, tasks: Sequence[Json], definition: Definition) -> None:
        """Takes all tasks; ROOT and others that the package does not name are not steps."""
        self._all = tasks
        self._tasks = [one for one in tasks if one.get("name") in definition.steps]

    def steps(self) -> list[StepRecord]:
        """Returns the steps; a cached one has succeeded."""
        return [_record(task) for task in self._tasks]

    def pods(self, step: str) -> list[str]:
        """Returns the exact names of a step's executor pods, the last attempt first."""
        pods = [pod for task in self._tasks if task["name"] == step for pod in task.get("pods", [])]
        return [pod["name"] for pod in reversed(pods) if pod.get("type") == "EXECUTOR"]

    def metrics(self) -> dict[str, float]:
        """Returns the metrics of all tasks; each metric is an artifact of its own."""
        found: dict[str, float] = {}
        for task in self._all:
            for output in (task.get("outputs") or {}).get("artifacts", []):
                for artifact in output.get("artifacts", []):
                    if artifact.get("type") == "Metric" and "number_value" in artifact:
                        found[artifact["name"]] = float(artifact["number_value"])
        return dict(sorted(found.items()))


def _record(task: Json) -> StepRecord:
    state = plain_state(task.get("state"))
    cached = state == "CACHED"
    message = _message(task) if state == FAILED else ""
    return StepRecord(task["name"], SUCCEEDED if cached else state, cached, message)


def _message(task: Json) -> str:
    known: list[Any] = [(task.get("status_metadata") or {}).get("message")]
    known += [message_of(one.get("error")) for one in reversed(task.get("state_history") or [])]
    return next((text for text in known if text and not text.endswith(_NO_REASON)), "")
