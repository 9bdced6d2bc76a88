"""State of a run as plain values."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipelines.kubeflow.client.definition import Definition
from pipelines.kubeflow.client.records import (
    ENDED,
    FAILED,
    SUCCEEDED,
    StepRecord,
    message_of,
    plain_state,
)
from pipelines.kubeflow.contract.package_format import Json
from pipelines.kubeflow.contract.reason import last_reason

#: Start of the last log line of a gate that blocked its run.
_BLOCKED = "GateFailed:"


@dataclass(frozen=True)
class FailedStep:
    """A step that ended a run.

    Attributes:
        step: the step's name in the package.
        reason: the last error in its log, or else the server's message; empty if there is neither.
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
        steps: the state of each step of the package that has started, by its name, in the order
            of the package.
        cached: the steps whose outputs are those of an earlier run, if the server reports them.
        failed: the steps that ended the run.
        error: the server's error for the run as a whole.
        created, finished: times in ISO 8601, or empty.

    >>> gate = FailedStep("stoponmetrics", gate=True)
    >>> state = RunState("1f3b", "nightly", "FAILED", failed=(gate,))
    >>> state.ended, state.succeeded, state.blocked
    (True, False, True)
    """

    run_id: str
    name: str
    state: str
    steps: dict[str, str] = field(default_factory=dict)
    cached: tuple[str, ...] = ()
    failed: tuple[FailedStep, ...] = ()
    error: str = ""
    created: str = ""
    finished: str = ""

    @property
    def ended(self) -> bool:
        """True if the state is final."""
        return self.state in ENDED

    @property
    def settled(self) -> bool:
        """True if the states of the run and of all its steps are final.

        Servers with ML Metadata write the state of a run before those of its steps.
        """
        return self.ended and all(state in ENDED for state in self.steps.values())

    @property
    def succeeded(self) -> bool:
        """True if the whole run succeeded."""
        return self.state == SUCCEEDED

    @property
    def blocked(self) -> bool:
        """True if gates, and no other failures, ended the run."""
        return self.state == FAILED and bool(self.failed) and all(it.blocked for it in self.failed)

    def with_reasons(self, log_of: Callable[[str], str]) -> "RunState":
        """Returns a copy in which failed steps have the reasons in their logs, where there are any.

        A message of the server precedes a log without an error: the step was stopped or killed.
        """
        known = (
            replace(one, reason=last_reason(log_of(one.step), one.reason)) for one in self.failed
        )
        return replace(self, failed=tuple(known))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {**asdict(self), "blocked": self.blocked}


def run_state_of(run: Json, steps: Sequence[StepRecord], definition: Definition) -> RunState:
    """Returns the state of a run.

    Args:
        run: the server's answer for the run, as JSON.
        steps: the steps in its record.
        definition: definition of the run's package, which names the gates and orders the steps.
    """
    steps = sorted(steps, key=lambda one: definition.steps.index(one.step))
    state = plain_state(run.get("state"))
    return RunState(
        run_id=run["run_id"],
        name=run.get("display_name") or "",
        state=state,
        steps={one.step: one.state for one in steps},
        cached=tuple(one.step for one in steps if one.cached),
        failed=tuple(
            FailedStep(one.step, one.message, gate=one.step in definition.gates)
            for one in steps
            if one.state == FAILED
        ),
        error=message_of(run.get("error")),
        created=run.get("created_at") or "",
        finished=(run.get("finished_at") or "") if state in ENDED else "",
    )
