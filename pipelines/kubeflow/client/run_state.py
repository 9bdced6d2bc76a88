"""What became of a run, in words."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

SUCCEEDED, FAILED, CANCELED, SKIPPED = "SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"
_ENDED = (SUCCEEDED, FAILED, CANCELED, SKIPPED)
#: What the backend's own bookkeeping calls its nodes; they are no steps of ours.
_OWN_NODES = ("root", "executor")


@dataclass(frozen=True)
class FailedStep:
    """A step that ended a run, and what it said last, if that can be had."""

    step: str
    reason: str = ""


@dataclass(frozen=True)
class RunState:
    """A run as the server tells it.

    Attributes:
        state: PENDING, RUNNING, SUCCEEDED, FAILED, CANCELING, CANCELED, SKIPPED or PAUSED.
        steps: the state of each step that has begun, by its name.
        failed: the steps that ended the run.
        error: what the server says of the run as a whole.
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
        """Whether nothing more will happen."""
        return self.state in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether all of it went well."""
        return self.state == SUCCEEDED

    def with_reasons(self, reason_of: Callable[[str], str]) -> "RunState":
        """The same, with a reason for each failed step that has none."""
        known = (
            one if one.reason else replace(one, reason=reason_of(one.step)) for one in self.failed
        )
        return replace(self, failed=tuple(known))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def run_state_of(run: Any) -> RunState:
    """The state of a run as Kubeflow's client has it (`V2beta1Run`)."""
    details = (run.run_details.task_details if run.run_details else None) or []
    steps = [one for one in details if _is_step(one.display_name or "")]
    state = _plain(run.state)
    return RunState(
        run_id=run.run_id,
        name=run.display_name or "",
        state=state,
        steps={one.display_name: _plain(one.state) for one in steps},
        failed=tuple(
            FailedStep(one.display_name, _why(one)) for one in steps if _plain(one.state) == FAILED
        ),
        error=_said(run.error),
        created=run.created_at.isoformat() if run.created_at else "",
        finished=run.finished_at.isoformat() if run.finished_at and state in _ENDED else "",
    )


def _is_step(name: str) -> bool:
    return bool(name) and name not in _OWN_NODES and not name.endswith("-driver")


def _plain(state: Any) -> str:
    """A new run has no state yet."""
    return state if state and state != "RUNTIME_STATE_UNSPECIFIED" else "PENDING"


def _why(task: Any) -> str:
    said = [_said(task.error)]
    said += [_said(one.error) for one in task.state_history or []]
    return next((text for text in reversed(said) if text), "")


def _said(status: Any) -> str:
    return (status.message or "") if status else ""
