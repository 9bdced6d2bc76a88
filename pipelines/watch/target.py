"""Where runs are started: what a watch asks of Kubeflow Pipelines or of this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pipelines.watch.state import WatchError


class StartError(WatchError):
    """A run could not be started, or nobody can tell whether it was; it is tried again."""


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        outcome: in the target's words: succeeded, blocked, failed, gone.
        took: the fingerprint of the data that it took; empty where the target does not tell.
    """

    outcome: str
    took: str = ""


class Target(Protocol):
    """Starts runs under a key and finds them by it."""

    def find(self, key: str) -> str | None:
        """The id of the run that was started under a key; raises StartError if none can tell."""
        ...

    def start(self, key: str, insist: Callable[[], None]) -> str:
        """Starts a run under a key, takes note of the key with it, and gives its id.

        Args:
            insist: to be called when nothing but the one request that makes the run is left;
                raises StartError if the right to start has run out.

        Raises:
            StartError: it was not started, or it is unknown whether it was.
        """
        ...

    def ended(self, run_id: str) -> Ended | None:
        """How a run ended; None while it is under way."""
        ...
