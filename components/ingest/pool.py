"""Process pool for shards on one machine.

Beam's own worker processes import Beam and its cloud clients for many seconds before they take
their first element; these import what turns images into examples, and nothing else.
"""

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache

from components.ingest.files.layout import Block
from components.ingest.shard import ShardPaths, ShardWriter, WrittenShard

_SHARDS_A_PROCESS = 4  # shards that a process writes in the time that it takes to start


def worthwhile(shards: int) -> int:
    """Returns the useful number of processes for `shards` on this machine."""
    return max(1, min(os.cpu_count() or 1, shards // _SHARDS_A_PROCESS))


def write_shards(
    blocks: Iterable[Block],
    processes: int,
    config_json: str,
    classes: tuple[str, ...],
    paths: ShardPaths,
) -> Iterator[WrittenShard]:
    """Writes every block's shard, in any order."""
    # A fork of a process with TensorFlow's threads may hang; a fresh interpreter never does.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        tasks = [pool.submit(_write, block, config_json, classes, paths) for block in blocks]
        for task in tasks:
            yield task.result()


def _write(
    block: Block, config_json: str, classes: tuple[str, ...], paths: ShardPaths
) -> WrittenShard:
    return _writer(config_json, classes, paths).write(block)


@cache
def _writer(config_json: str, classes: tuple[str, ...], paths: ShardPaths) -> ShardWriter:
    return ShardWriter(config_json, classes, paths)
