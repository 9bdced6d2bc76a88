"""Exits for processes in which Python's own shutdown would hang or abort."""

import atexit
import logging
import os
import signal
import sys
import threading
from typing import NoReturn

#: 128 + SIGTERM: the conventional exit code of a process ended by that signal.
EXIT_STOPPED = 128 + signal.SIGTERM
#: The same for SIGKILL, which a process cannot handle.
EXIT_KILLED = 128 + signal.SIGKILL
#: Exit code of a training's worker after a failure that a restart would repeat.
EXIT_LASTING = 4


def exit_now(code: int) -> NoReturn:
    """Ends the process without destructors and exit handlers, which TensorFlow's can abort.

    Logs and streams are flushed first.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None: closed by the parent process
            stream.flush()
    os._exit(code)


def exit_with_handlers(code: int) -> NoReturn:
    """Ends the process after its exit handlers, without tearing down the interpreter.

    With TensorFlow and Beam loaded that takes seconds, for memory that the system frees anyway. If
    other threads still run, Python's own shutdown waits for them.
    """
    if threading.active_count() > 1:
        sys.exit(code)
    atexit._run_exitfuncs()
    exit_now(code)


def exit_despite_threads(code: int) -> NoReturn:
    """Ends the process even if calls in other threads hang.

    A thread that returned from such a call during the interpreter's shutdown would abort the
    process.
    """
    if threading.active_count() == 1:
        sys.exit(code)
    exit_now(code)
