"""Timing of checkpoints within an epoch."""

import time
from collections.abc import Callable

from trainer.training.config import CheckpointPolicy

#: Maximum share of the time spent saving, whatever interval is configured.
_MOST_OF_TIME = 0.05


class SavingPlan:
    """Decides when a state is due to be saved.

    Args:
        policy: by time, by steps, or both.
        clock: monotonic seconds.
    """

    def __init__(self, policy: CheckpointPolicy, clock: Callable[[], float] = time.monotonic):
        self._policy, self._clock = policy, clock
        self._steps = 0
        self._cost_s = 0.0
        self._saved_s = clock()

    def after(self, steps: int) -> bool:
        """Counts steps and returns whether a state is due."""
        self._steps += steps
        every_s, every_steps = self._policy.every_seconds, self._policy.every_steps
        if every_steps is not None and self._steps >= every_steps:
            return True
        if every_s is None:
            return False
        pause_s = max(every_s, self._cost_s / _MOST_OF_TIME)
        return self._clock() - self._saved_s >= pause_s

    def save(self, write: Callable[[], None]) -> None:
        """Saves and records the time it took."""
        began_s = self._clock()
        write()
        self._saved_s = self._clock()
        self._cost_s = self._saved_s - began_s
        self._steps = 0
