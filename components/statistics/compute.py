"""Statistics of every split: in memory if it is small, else on Beam."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import apache_beam as beam
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.statistics import feature_stats
from components.statistics.accumulate import ShardCounter
from components.statistics.config import StatisticsConfig
from components.statistics.on_beam import WriteStatistics
from components.statistics.records import size_bytes

Place = Literal["memory", "beam"]

#: Shards that are counted at a time. Reading and decoding, about half of the work, release Python's
#: lock for another thread; a third one would wait for it, and each holds a batch of records.
_THREADS = 2


@dataclass(frozen=True)
class Split:
    """TFRecord files of one split, in order, and the FeatureStats.pb to write for them."""

    name: str
    paths: tuple[str, ...]
    output: str


def in_memory(
    paths: Sequence[str],
    exclude: tuple[str, ...] = (),
    schema: schema_pb2.Schema | None = None,
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Computes statistics of TFRecord files in this process; see `compute_statistics`."""
    counter = ShardCounter(exclude, schema)
    with ThreadPoolExecutor(_THREADS) as threads:
        return counter.merge(threads.map(counter.count, paths))


def compute_statistics(
    splits: Sequence[Split],
    config: StatisticsConfig,
    make_pipeline: Callable[[], beam.Pipeline],
    schema: schema_pb2.Schema | None = None,
) -> Mapping[str, Place]:
    """Writes FeatureStats.pb for every split, and returns where each was computed.

    Both places give the same bytes. Exact: numbers of examples, of missing, zero, NaN and multiple
    values, minimum, maximum and string lengths, and, up to 16,384 distinct values per feature, the
    number of distinct values and the most frequent ones. Rounded in the last digits: mean and
    deviation. Approximate, as in TFDV, within a rank error of 1 %: median and histograms.
    `make_pipeline` is called only if a split exceeds the configured bound. Raises DataError if a
    record is not a tf.Example.
    """
    places = {split.name: _place(split.paths, config) for split in splits}
    for split in splits:
        if places[split.name] == "memory":
            statistics = in_memory(split.paths, config.exclude, schema)
            feature_stats.write(statistics, split.output)
    large = [split for split in splits if places[split.name] == "beam"]
    if large:
        _on_beam(large, ShardCounter(config.exclude, schema), make_pipeline)
    return places


def _place(paths: Sequence[str], config: StatisticsConfig) -> Place:
    return "beam" if size_bytes(paths) > config.in_memory_max_bytes else "memory"


def _on_beam(
    splits: Sequence[Split], counter: ShardCounter, make_pipeline: Callable[[], beam.Pipeline]
) -> None:
    with make_pipeline() as pipeline:
        for split in splits:
            write = WriteStatistics(split.paths, split.output, counter)
            _ = pipeline | f"Statistics of {split.name}" >> write
