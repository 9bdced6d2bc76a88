"""Process pool for shards on one machine.

Beam's own worker processes import Beam and its cloud clients for many seconds before they take
their first element; these import what turns images into examples, and nothing else.
"""

import multiprocessing
import multiprocessing.forkserver as forkserver
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing.context import BaseContext, ForkServerContext
from typing import Any, Protocol, TypeVar

from components.ingest.files.layout import ShardRange

Written = TypeVar("Written")
Written_co = TypeVar("Written_co", covariant=True)

_SHARDS_A_PROCESS = 4  # shards that a process writes in the time that it takes to start


def process_count(wanted: int, shards: int) -> int:
    """Returns how many processes share `shards`, of as many as are `wanted`; 0 is as many as are
    of use."""
    return min(wanted or worthwhile(shards), shards)


def worthwhile(shards: int) -> int:
    """Returns the useful number of processes for `shards` on this machine."""
    return max(1, min(os.cpu_count() or 1, shards // _SHARDS_A_PROCESS))


class Writer(Protocol[Written_co]):
    """Turns a block into files."""

    def write(self, block: ShardRange) -> Written_co: ...


def import_early(libraries: Sequence[str]) -> None:
    """Begins to import what the processes of `in_processes` need, and returns at once."""
    if isinstance(_context(libraries), ForkServerContext):
        forkserver.ensure_running()


def in_processes(
    make_writer: Callable[..., Writer[Written]],
    arguments: tuple[Any, ...],
    blocks: Iterable[ShardRange],
    processes: int,
    libraries: Sequence[str] = (),
) -> Iterator[Written]:
    """Yields what a writer returns for each block, in any order.

    Args:
        make_writer: called once in each process; importable by its name.
        arguments: of it; hashable.
        blocks: the work.
        processes: how many share it.
        libraries: modules that on Linux are imported once for all processes.
    """
    pool = ProcessPoolExecutor(processes, mp_context=_context(libraries))
    is_done = False
    try:
        tasks = [pool.submit(_write, make_writer, arguments, block) for block in blocks]
        for task in tasks:
            yield task.result()
        is_done = True
    finally:  # Idle processes end on their own; others still write where the caller may clean up.
        pool.shutdown(wait=not is_done, cancel_futures=True)


def _context(libraries: Sequence[str]) -> BaseContext:
    """Returns the way to start processes.

    A fork of a process in which TensorFlow has worked may hang; a fresh interpreter never does.
    Nor does a fork of a server that has only imported libraries: TensorFlow starts its threads with
    the first operation, and those that the import of NumPy, OpenCV and Arrow starts are made for
    forks. The frameworks of macOS are not.
    """
    if not libraries or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(libraries))
    return context


def _write(
    make_writer: Callable[..., Writer[Written]], arguments: tuple[Any, ...], block: ShardRange
) -> Written:
    return _writer(make_writer, arguments).write(block)


@cache
def _writer(make_writer: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return make_writer(*arguments)
