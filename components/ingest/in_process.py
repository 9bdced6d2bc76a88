"""Ingest in this process: the phases of `transforms`, where Beam would run them here in any case.

Building and running even the smallest pipeline takes Beam as long as a thousand images.
"""

from collections.abc import Sequence

from components.ingest.files.layout import ShardRange
from components.ingest.finish import ShardFinisher, write_summary
from components.ingest.records.duplicates import surplus_copies
from components.ingest.records.summary import total
from components.ingest.shard import ShardPaths, written_shards


def ingest_shards(
    config_json: str,
    classes: tuple[str, ...],
    paths: ShardPaths,
    blocks: Sequence[ShardRange],
    processes: int,
) -> None:
    """Writes examples, rejects and their summary; the arguments are those of `written_shards`."""
    written = list(written_shards(config_json, classes, paths, blocks, processes))
    surplus = surplus_copies([shard.table for shard in written])
    finisher = ShardFinisher(config_json, paths)
    finished = [finisher.finish(it, surplus.get(it.table.shard, ())) for it in written]
    write_summary(paths, total(finished))
