"""State of a run as plain values."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipelines.kubeflow.client.definition import Definition

SUCCEEDED, FAILED, CANCELED, SKIPPED = "SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"
_ENDED = (SUCCEEDED, FAILED, CANCELED, SKIPPED)
#: Start of the last log line of a gate that blocked its run.
_BLOCKED = "GateFailed:"


@dataclass(frozen=True)
class FailedStep:
    """A step that ended a run.

    Attributes:
        step: the step's name in the package.
        reason: the last error in its log, if available.
        gate: the package defines the step as a gate.
    """

    step: str
    reason: str = ""
    gate: bool = False

    @property
    def blocked(self) -> bool:
        """True if a failed check was the cause; a gate may also fail for lack of memory.

        The reason decides; if the log is gone with its pod, the package's definition does.
        """
        return self.reason.startswith(_BLOCKED) if self.reason else self.gate


@dataclass(frozen=True)
class RunState:
    """A run as the server reports it.

    Attributes:
        state: PENDING, RUNNING, SUCCEEDED, FAILED, CANCELING, CANCELED, SKIPPED or PAUSED.
        steps: the state of each step of the package that has started, by its name.
        failed: the steps that ended the run.
        error: the server's error for the run as a whole.
        created, finished: times in ISO 8601, or empty.
    """

    run_id: str
    name: str
    state: str
    steps: dict[str, str] = field(default_factory=dict)
    failed: tuple[FailedStep, ...] = ()
    error: str = ""
    created: str = ""
    finished: str = ""

    @property
    def ended(self) -> bool:
        """True if the state is final."""
        return self.state in _ENDED

    @property
    def succeeded(self) -> bool:
        """True if the whole run succeeded."""
        return self.state == SUCCEEDED

    @property
    def blocked(self) -> bool:
        """True if gates, and no other failures, ended the run."""
        return self.state == FAILED and bool(self.failed) and all(it.blocked for it in self.failed)

    def with_reasons(self, reason_of: Callable[[str], str]) -> "RunState":
        """Returns a copy with a reason for each failed step that lacks one."""
        known = (
            one if one.reason else replace(one, reason=reason_of(one.step)) for one in self.failed
        )
        return replace(self, failed=tuple(known))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {**asdict(self), "blocked": self.blocked}


def run_state_of(run: Any, definition: Definition) -> RunState:
    """Converts a run of Kubeflow's client (`V2beta1Run`).

    Args:
        run: the server's description of the run.
        definition: of the run's package; other nodes are not steps.
    """
    details = (run.run_details.task_details if run.run_details else None) or []
    steps = [one for one in details if one.display_name in definition.steps]
    failed = {one.display_name: _why(one) for one in steps if _plain(one.state) == FAILED}
    state = _plain(run.state)
    return RunState(
        run_id=run.run_id,
        name=run.display_name or "",
        state=state,
        steps={one.display_name: _plain(one.state) for one in steps}
        | dict.fromkeys(failed, FAILED),
        failed=tuple(
            FailedStep(step, why, gate=step in definition.gates) for step, why in failed.items()
        ),
        error=_said(run.error),
        created=run.created_at.isoformat() if run.created_at else "",
        finished=run.finished_at.isoformat() if run.finished_at and state in _ENDED else "",
    )


def _plain(state: Any) -> str:
    """Returns the name of a state; a new run has none yet."""
    return state if state and state != "RUNTIME_STATE_UNSPECIFIED" else "PENDING"


def _why(task: Any) -> str:
    said = [_said(task.error)]
    said += [_said(one.error) for one in task.state_history or []]
    return next((text for text in reversed(said) if text), "")


def _said(status: Any) -> str:
    return (status.message or "") if status else ""
