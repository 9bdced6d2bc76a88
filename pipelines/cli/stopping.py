"""SIGTERM as what Ctrl-C is: commands tidy up before they end."""

import signal
from types import FrameType
from typing import NoReturn

#: 128 + SIGTERM, as a process has it that the signal ended.
EXIT_STOPPED = 128 + signal.SIGTERM


class Stopped(KeyboardInterrupt):
    """The process was told to end."""


def stop_like_ctrl_c() -> None:
    """From here on the first SIGTERM raises Stopped in the main thread.

    The next ones are passed over: they would break off the tidying up, which SIGKILL bounds.
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
