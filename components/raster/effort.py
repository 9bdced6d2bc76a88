"""Effort of a thread: its own work, apart from waiting for other programs."""

import resource
import time
from typing import NamedTuple, Self


class Effort(NamedTuple):
    """Seconds and processor seconds of this thread, and how often it waited for something."""

    wall_s: float
    worked_s: float
    waits: int

    @classmethod
    def so_far(cls) -> Self:
        """Returns the effort of this thread until now."""
        of_thread = resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF))
        return cls(time.perf_counter(), time.thread_time(), of_thread.ru_nvcsw)

    def since(self, earlier: Self) -> Self:
        """Returns the effort after an earlier moment."""
        return type(self)(
            self.wall_s - earlier.wall_s,
            self.worked_s - earlier.worked_s,
            self.waits - earlier.waits,
        )
