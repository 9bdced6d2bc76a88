"""Interface of the targets that start runs: Kubeflow Pipelines or this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pipelines.watch.state import WatchError


class StartError(WatchError):
    """A run was not started, or its start is unknown; the watch tries again."""


@dataclass(frozen=True)
class RunEnd:
    """Outcome of a run.

    Attributes:
        outcome: the target's term: succeeded, blocked, failed, gone.
        took: fingerprint of the data that the run took; empty if the target does not report it.
    """

    outcome: str
    took: str = ""


class RunTarget(Protocol):
    """Starts runs under a key and finds them by it."""

    def find(self, key: str) -> str | None:
        """Returns the id of the run started under a key; raises StartError if it is unknown."""
        ...

    def start(self, key: str, require_lease: Callable[[], None]) -> str:
        """Starts a run, stores the key with it and returns its id.

        Args:
            require_lease: called just before the one request that creates the run; raises
                StartError if the lease is about to expire.

        Raises:
            StartError: the run was not started, or its start is unknown.
        """
        ...

    def ended(self, run_id: str) -> RunEnd | None:
        """Returns the outcome of a run; None while it is in progress."""
        ...
