"""Handles SIGTERM like Ctrl-C, so that commands clean up before they end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click


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


@contextmanager
def message_if_stopped(message: str) -> Iterator[None]:
    """Prints a message if the user stops the command within the block."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(message, err=True)
        raise
