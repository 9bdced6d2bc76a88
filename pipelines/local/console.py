"""Terminal output: our own lines on the terminal, the frameworks' output in a log file."""

import contextlib
import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO

from rich.console import Console
from rich.table import Table

from components.raster.masking import masked

#: Width of output that is not a terminal: nothing is wrapped or cut in a pipe or a file.
_ENDLESS = 1 << 16


def console_on(stream: IO[str] | None = None) -> Console:
    """Returns a console as wide as its terminal; to a pipe or a file it writes whole lines.

    Args:
        stream: by default standard output.
    """
    console = Console(file=stream, highlight=False)
    return console if console.is_terminal else Console(file=stream, highlight=False, width=_ENDLESS)


def plain_table(*headers: str, whole: Collection[str] = ()) -> Table:
    """Returns a table without rules, whose cells wrap where the terminal is too narrow.

    Args:
        whole: headers of columns with ids or paths, which stay on one line to be copied.
    """
    table = Table(box=None, title_justify="left", pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold", no_wrap=header in whole)
    return table


@dataclass(frozen=True)
class Terminal:
    """The terminal behind the redirection: results go to ``out``, progress to ``err``."""

    out: Console
    err: Console


@contextlib.contextmanager
def output_to_log(log_path: str) -> Iterator[Terminal]:
    """Sends file descriptors 1 and 2 to a log file; yields the terminal that was behind them.

    TensorFlow, Beam and their native libraries write to the descriptors themselves, so redirecting
    ``sys.stderr`` would not reach them. Child processes inherit the log as well.
    """
    os.makedirs(os.path.dirname(os.path.abspath(log_path)), exist_ok=True)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    with _behind(1) as out, _behind(2) as err:
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        try:
            yield Terminal(out, err)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            _mask(log_path)


@contextlib.contextmanager
def _behind(descriptor: int) -> Iterator[Console]:
    """Yields a console on a descriptor's current target, and restores the descriptor at the end."""
    streams = {1: sys.stdout, 2: sys.stderr}
    streams[descriptor].flush()
    kept = os.dup(descriptor)
    with os.fdopen(kept, "w", encoding="utf-8") as terminal:
        try:
            yield console_on(terminal)
        finally:
            streams[descriptor].flush()
            terminal.flush()
            os.dup2(kept, descriptor)


def _mask(log_path: str) -> None:
    """Masks secrets of addresses in the libraries' log."""
    with open(log_path, encoding="utf-8", errors="surrogateescape") as log:
        if all(masked(line) == line for line in log):
            return
        log.seek(0)
        partial = f"{log_path}.partial"
        with open(partial, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(map(masked, log))
    os.replace(partial, log_path)
