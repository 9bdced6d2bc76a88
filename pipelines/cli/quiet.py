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
    """Decorates a command in whose process models are called: only its own lines are printed.

    TensorFlow's native libraries report the machine's devices and fallbacks on descriptor 2,
    whatever their log level is. What `click.echo` writes goes where it went before.
    """

    @functools.wraps(command)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        with _own_errors_alone():
            return command(*args, **kwargs)

    return quiet


@contextlib.contextmanager
def _own_errors_alone() -> Iterator[None]:
    """Takes descriptor 2 from native libraries; `sys.stderr` keeps what was behind it."""
    if sys.stderr is None:  # closed by whoever started the process
        yield
        return
    sys.stderr.flush()
    before, behind = sys.stderr, os.dup(2)
    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1) as own:
        if before is sys.__stderr__:
            sys.stderr = own
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            sys.stderr = before
            os.dup2(behind, 2)
            os.close(behind)
