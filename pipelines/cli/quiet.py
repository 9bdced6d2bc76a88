"""Verbosity of the frameworks below a command."""

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def quiet_frameworks() -> None:
    """Lowers the frameworks' verbosity; called before any of them is imported."""
    for name, value in {
        "TF_CPP_MIN_LOG_LEVEL": "3",  # errors are raised as well
        "KERAS_BACKEND": "tensorflow",
        "PYTHONWARNINGS": "ignore",
    }.items():
        os.environ.setdefault(name, value)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def without_native_output(command: Callable[P, R]) -> Callable[P, R]:
    """Decorates a command that runs models in its process: only its own lines are printed.

    TensorFlow's native libraries report the machine's devices and fallbacks on descriptor 2,
    whatever their log level is. What `click.echo` writes goes where it went before.
    """

    @functools.wraps(command)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        with native_output_in(os.devnull):
            return command(*args, **kwargs)

    return quiet


@contextlib.contextmanager
def native_output_in(path: str) -> Iterator[None]:
    """Points descriptor 2, of native libraries, at a file; `sys.stderr` stays where it was."""
    if sys.stderr is None:  # closed by the parent process
        yield
        return
    sys.stderr.flush()
    before, behind = sys.stderr, os.dup(2)
    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1) as own:
        if before is sys.__stderr__:
            sys.stderr = own
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, 2)
        os.close(file)
        try:
            yield
        finally:
            sys.stderr = before
            os.dup2(behind, 2)
            os.close(behind)
