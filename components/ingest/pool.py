"""Process pool for shards on one machine.

Beam's own worker processes import Beam and its cloud clients for many seconds before their first
element; these import only the code that converts images to examples.
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
    """Returns the number of processes for `shards`: `wanted`, or the useful number if that is 0."""
    return min(wanted or worthwhile(shards), shards)


def worthwhile(shards: int) -> int:
    """Returns the useful number of processes for `shards` on this machine."""
    return max(1, min(os.cpu_count() or 1, shards // _SHARDS_A_PROCESS))


class Writer(Protocol[Written_co]):
    """Turns a block into files."""

    def write(self, block: ShardRange) -> Written_co: ...


def import_early(libraries: Sequence[str]) -> None:
    """Starts importing the libraries for the processes of `in_processes`, and returns at once."""
    if isinstance(_context(libraries), ForkServerContext):
        forkserver.ensure_running()


def in_processes(
    make_writer: Callable[..., Writer[Written]],
    arguments: tuple[Any, ...],
    blocks: Iterable[ShardRange],
    processes: int,
    libraries: Sequence[str] = (),
) -> Iterator[Written]:
    """Yields a writer's result for each block, in any order.

    Args:
        make_writer: called once in each process; importable by its name.
        arguments: of `make_writer`; hashable.
        blocks: the work.
        processes: number of processes that share it.
        libraries: modules that on Linux are imported once for all processes.
    """
    pool = ProcessPoolExecutor(processes, mp_context=_context(libraries))
    is_done = False
    try:
        tasks = [pool.submit(_write, make_writer, arguments, block) for block in blocks]
        for task in tasks:
            yield task.result()
        is_done = True
    finally:  # Idle processes end by themselves; others still write where the caller may clean up.
        pool.shutdown(wait=not is_done, cancel_futures=True)


def _context(libraries: Sequence[str]) -> BaseContext:
    """Returns the method to start processes.

    A fork of a process in which TensorFlow has run may hang; a fresh interpreter never does. Nor
    does a fork of a server that has only imported libraries: TensorFlow starts its threads with the
    first operation, and the threads that NumPy, OpenCV and Arrow start on import survive forks. The
    frameworks of macOS do not.
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
