"""Records of a run's steps and metrics, in either form that servers keep them.

Releases up to 2.17 list the nodes of the workflow engine and keep metrics in ML Metadata. Later
ones have no ML Metadata (kubeflow/pipelines#13986): the API itself returns tasks with their
artifacts. The answer for a run shows which form its server has.
"""

from dataclasses import dataclass
from typing import Any, Protocol

PENDING, SUCCEEDED, FAILED, CANCELED = "PENDING", "SUCCEEDED", "FAILED", "CANCELED"
SKIPPED = "SKIPPED"
#: States that do not change any more.
ENDED = (SUCCEEDED, FAILED, CANCELED, SKIPPED)


@dataclass(frozen=True)
class StepRecord:
    """A step of the package that has started.

    Attributes:
        step: its name in the package.
        state: PENDING, RUNNING, SUCCEEDED, FAILED, SKIPPED, CANCELING, CANCELED or PAUSED.
        cached: its outputs are those of an earlier run, if the server reports that.
        message: the server's own message on a failure, or empty.
    """

    step: str
    state: str
    cached: bool = False
    message: str = ""


class BackendRecord(Protocol):
    """One form of a run's record."""

    def steps(self) -> list[StepRecord]:
        """Returns the steps, in any order."""

    def pods(self, step: str) -> list[str]:
        """Returns the names of a step's executor pods, the last attempt first.

        A step whose driver has failed has none; then they are those of its driver.
        """

    def failure(self) -> str:
        """Returns what failed outside of all steps; empty if the engine reports no such failure.

        `pods(ROOT)` are those of the pipeline's own driver.
        """

    def metrics(self) -> dict[str, float] | None:
        """Returns the metrics of all steps; None if their store has no known address."""


def plain_state(state: Any) -> str:
    """Returns the name of a state; a new run or task has none yet."""
    return str(state) if state and state != "RUNTIME_STATE_UNSPECIFIED" else PENDING


def message_of(status: Any) -> str:
    """Returns the message of a `google.rpc.Status`, or an empty text."""
    return str((status or {}).get("message") or "")
