"""Finishing of shards: a written shard gets its final name, without copies that leak.

Copies are known once every shard is written. A reader never sees half a file.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO

from components.ingest.config import IngestConfig
from components.ingest.files import layout, storage
from components.ingest.records.duplicates import Copy
from components.ingest.records.reject import Reject, reject_lines
from components.ingest.records.summary import IngestSummary
from components.ingest.shard import ShardPaths, WrittenShard, read_line
from components.ingest.sources import family_of
from components.raster.example import SPLITS


class ShardFinisher:
    """Publishes written shards.

    Args:
        config_json: the IngestConfig.
        paths: of the run.
    """

    def __init__(self, config_json: str, paths: ShardPaths) -> None:
        self._family = family_of(IngestConfig.model_validate_json(config_json).source)
        self._paths = paths

    def finish(self, written: WrittenShard, surplus: Sequence[Copy]) -> None:
        """Publishes a shard without its surplus copies, which become rejects, and its summary.

        A retry leaves files that are already published.
        """
        copies = {copy.position: copy for copy in surplus}
        for code, split in enumerate(SPLITS):
            own = [place for place, it in enumerate(written.table.splits) if it == code]
            drop = {index for index, place in enumerate(own) if place in copies}
            self._publish(written, split, drop)
        rejects = [*written.rejects, *self._rejected_copies(written, copies)]
        self._write_rejects(written, rejects)
        storage.publish(written.read_log, self._paths.read_log(written.block.shard))
        summary = _summary(written, copies, rejects)
        storage.write(self._paths.summary(written.block.shard), summary.to_json().encode())

    def _rejected_copies(
        self, written: WrittenShard, copies: Mapping[int, Copy]
    ) -> Iterator[Reject]:
        if copies:
            uri_of = self._family.uri_of_keys(read_line(self._paths, written.block))
        for position, copy in copies.items():
            key = written.table.key(position)
            yield Reject(key, uri_of(key), copy.reason, copy.detail)

    def _publish(self, written: WrittenShard, split: str, drop: set[int]) -> None:
        source = written.path(split)
        name = layout.shard_name(written.block.shard, self._paths.shards)
        if drop:
            source = _without(source, drop)
        storage.publish(source, storage.join(self._paths.split_folder(split), name))

    def _write_rejects(self, written: WrittenShard, rejects: list[Reject]) -> None:
        name = layout.rejects_name(written.block.shard, self._paths.shards)
        source = storage.join(written.folder, name)
        storage.write(source, reject_lines(rejects))
        storage.publish(source, storage.join(self._paths.rejects, name))


def _without(path: str, drop: set[int]) -> str:
    """Copies a file of TFRecords without those at the positions in `drop`; returns its path."""
    kept = path + ".kept"
    with storage.create(kept) as target:
        _copy_records(storage.read(path), target, drop)
    return kept


def _copy_records(data: bytes, target: IO[bytes], drop: set[int]) -> None:
    offset = position = 0
    while offset < len(data):
        size = int.from_bytes(data[offset : offset + 8], "little") + 16
        if position not in drop:
            target.write(data[offset : offset + size])
        offset += size
        position += 1


def _summary(
    written: WrittenShard, copies: Mapping[int, Copy], rejects: Iterable[Reject]
) -> IngestSummary:
    table = written.table
    kept = Counter(zip(table.splits, table.labels, strict=True))
    kept.subtract((table.splits[place], table.labels[place]) for place in copies)
    examples: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    images: Counter[str] = Counter()
    for (code, label), count in kept.items():
        examples[SPLITS[code]].update(dict.fromkeys(table.combinations[label], count))
        images[SPLITS[code]] += count
    reasons = Counter(reject.reason.value for reject in rejects)
    return IngestSummary(examples, images, reasons, written.ignored, extent=written.extent)
