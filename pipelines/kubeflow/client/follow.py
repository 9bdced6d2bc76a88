"""Follows a run until it ends."""

import time
from collections.abc import Callable
from typing import Protocol

from pipelines.kubeflow.client.errors import KubeflowError
from pipelines.kubeflow.client.run_state import RunState

_POLL_S = 5.0
#: Seconds that a server may be unreachable before following gives up; the run continues.
_PATIENCE_S = 300.0
#: Further polls of a run that has ended, while a step has no final state.
_LATE_LOOKS = 3

#: Polls of the run for each poll of its waiting pods, which reads the whole workflow.
_LOOKS_A_WAIT = 6

OnChange = Callable[[str, str], None]
OnTrouble = Callable[[KubeflowError], None]


class Server(Protocol):
    """Interface of the server that `follow` needs."""

    def run_state(self, run_id: str) -> RunState:
        """Returns the state of a run."""

    def waiting(self, run_id: str) -> dict[str, str]:
        """Returns why pods of a run cannot start, by step."""


def follow(
    server: Server,
    run_id: str,
    changed: OnChange = lambda step, state: None,
    *,
    waits: OnChange | None = None,
    troubled: OnTrouble = lambda error: None,
    timeout_s: float | None = None,
    poll_s: float = _POLL_S,
    patience_s: float = _PATIENCE_S,
) -> RunState:
    """Polls until the run and its steps have ended, and returns the last state.

    A step that has no final state a few polls after the end of the run is left as it is.

    Args:
        server: the server to poll.
        run_id: the run.
        changed: called once with each new state of a step.
        waits: called once with each new reason why the pod of a step cannot start; by default the
            server is not asked for them.
        troubled: called once each time that the server becomes unreachable.
        timeout_s: maximum time to follow; None is unlimited.
        poll_s: the time between two requests.
        patience_s: maximum time to retry while the server is unreachable.

    Raises:
        KubeflowError: the server refuses or stays unreachable, or the time is up; the run
            continues.
    """
    known: dict[str, str] = {}
    reasons: dict[str, str] = {}
    late = looks = 0
    began = answered = time.monotonic()
    lost = False
    while True:
        try:
            state = server.run_state(run_id)
            if waits is not None and not state.ended and looks % _LOOKS_A_WAIT == 0:
                reasons, former = server.waiting(run_id), reasons
                for step, reason in reasons.items() - former.items():
                    waits(step, reason)
            looks += 1
        except KubeflowError as error:
            if not error.transient or time.monotonic() - answered > patience_s:
                if answered == began:
                    raise
                raise error.followed_by(f"The run goes on: skymill follow {run_id}") from error
            if not lost:
                troubled(error)
            lost = True
        else:
            answered, lost = time.monotonic(), False
            for step, now in state.steps.items():
                if known.get(step) != now:
                    changed(step, now)
            known = state.steps
            if state.settled or late == _LATE_LOOKS:
                return state
            late += state.ended
        if timeout_s is not None and not late and time.monotonic() - began > timeout_s:
            raise KubeflowError(
                f"the run {run_id} has not ended after {timeout_s:.0f} s; it goes on. Follow it "
                f"again with: skymill follow {run_id}",
                transient=True,
            )
        time.sleep(poll_s)
