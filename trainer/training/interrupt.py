"""A request to stop that lets a training save itself first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from trainer.training.errors import TrainingError


class TrainingInterrupted(TrainingError):
    """Training was asked to stop, and saved its state; another attempt goes on from there."""


class StopRequest:
    """Whether somebody asked the training to stop."""

    def __init__(self) -> None:
        self.made = False


@contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """Within, a first SIGTERM (what a preempted machine sends) becomes a request.

    The second one does what it would have done before. Signals reach a process's main thread
    alone, so within another thread nothing changes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.getsignal(signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        request.made = True
        signal.signal(signal.SIGTERM, before)

    signal.signal(signal.SIGTERM, note)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
