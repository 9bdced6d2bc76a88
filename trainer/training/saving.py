"""When to save within an epoch."""

import time
from collections.abc import Callable

from trainer.training.config import CheckpointPolicy

#: Saving may take this share of the time, however often it is asked for by the clock.
_MOST_OF_TIME = 0.05


class SavingPlan:
    """Tells when a state is due.

    Args:
        policy: by time, by steps, or both.
        clock: seconds that only grow.
    """

    def __init__(self, policy: CheckpointPolicy, clock: Callable[[], float] = time.monotonic):
        self._policy, self._clock = policy, clock
        self._steps = 0
        self._cost_s = 0.0
        self._saved_s = clock()

    def after(self, steps: int) -> bool:
        """Whether it is due, now that so many more steps were taken."""
        self._steps += steps
        every_s, every_steps = self._policy.every_seconds, self._policy.every_steps
        if every_steps is not None and self._steps >= every_steps:
            return True
        if every_s is None:
            return False
        pause_s = max(every_s, self._cost_s / _MOST_OF_TIME)
        return self._clock() - self._saved_s >= pause_s

    def save(self, write: Callable[[], None]) -> None:
        """Saves, and notes what it cost."""
        began_s = self._clock()
        write()
        self._saved_s = self._clock()
        self._cost_s = self._saved_s - began_s
        self._steps = 0
