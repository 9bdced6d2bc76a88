"""Graceful stop: a training saves itself before it ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from trainer.training.errors import TrainingError


class TrainingInterrupted(TrainingError):
    """Training was asked to stop and saved its state; another attempt resumes there."""


class StopRequest:
    """Request to stop the training."""

    def __init__(self) -> None:
        self.made = False


@contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """Turns a first SIGTERM within the context (sent to preempted machines) into a request.

    A second one has its previous effect. Only a process's main thread receives signals, so in
    another thread nothing changes.
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
