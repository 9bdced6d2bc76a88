"""Handles SIGTERM like Ctrl-C, so that commands clean up before they end."""

import signal
from types import FrameType
from typing import NoReturn


class Stopped(KeyboardInterrupt):
    """The process received SIGTERM."""


def stop_like_ctrl_c() -> None:
    """Makes the first SIGTERM raise Stopped in the main thread.

    Later ones are ignored, as they would interrupt the cleanup; SIGKILL bounds its time.
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
