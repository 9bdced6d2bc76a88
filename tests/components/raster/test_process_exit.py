"""End of a process: handlers run and threads end, without a teardown of modules."""

import subprocess
import sys

import pytest

_PROGRAM = """
import atexit, sys, threading
from components.raster.process_exit import exit_with_handlers

class Kept:
    def __del__(self):
        print("taken apart")

kept = Kept()
atexit.register(print, "handler")
threading.Timer({delay}, print, ["thread"]).start() if {delay} else None
print("no newline", end=" ")
exit_with_handlers(3)
"""


@pytest.mark.parametrize(
    ("delay", "said"),
    [(0, "no newline handler\n"), (0.2, "no newline thread\nhandler\ntaken apart\n")],
)
def test_handlers_run_and_the_interpreter_is_taken_apart_only_for_threads(
    delay: float, said: str
) -> None:
    program = [sys.executable, "-c", _PROGRAM.format(delay=delay)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, said, "")


def test_closed_streams_are_no_failure() -> None:
    """Python has None in place of a stream that was closed before it started."""
    program = [sys.executable, "-c", _PROGRAM.format(delay=0)]
    closing = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *program]
    assert subprocess.run(closing, check=False).returncode == 3
