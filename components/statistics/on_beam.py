"""Counting on Beam, one shard per element; the result is the same as in memory."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from components.statistics.accumulate import ShardCounter
from components.statistics.feature_stats import write


class CountShard(beam.DoFn):
    """(index, path) -> (None, (index, counts)): a shard is the unit of parallel work."""

    def __init__(self, counter: ShardCounter) -> None:
        self._counter = counter

    def process(self, shard: tuple[int, str]) -> Iterator[tuple[None, tuple[int, list[Any]]]]:
        index, path = shard
        yield None, (index, self._counter.count(path))


class MergeAndWrite(beam.DoFn):
    """Merges the counted shards in order, regardless of the order in which workers finish."""

    def __init__(self, counter: ShardCounter, output: str) -> None:
        self._counter = counter
        self._output = output

    def process(self, shards: tuple[None, Iterable[tuple[int, list[Any]]]]) -> None:
        ordered = sorted(shards[1], key=lambda shard: shard[0])
        write(self._counter.merge(counts for _, counts in ordered), self._output)


class WriteStatistics(beam.PTransform):
    """Counts the TFRecord files `paths` (at least one) and writes FeatureStats.pb to `output`."""

    def __init__(self, paths: Sequence[str], output: str, counter: ShardCounter) -> None:
        super().__init__()
        self._shards = list(enumerate(paths))
        self._output = output
        self._counter = counter

    def expand(self, start: beam.pvalue.PBegin) -> beam.pvalue.PCollection[Any]:
        return (
            start
            | "Shards" >> beam.Create(self._shards)
            | "Spread" >> beam.Reshuffle()
            | "Count" >> beam.ParDo(CountShard(self._counter))
            | "Gather" >> beam.GroupByKey()
            | "Merge" >> beam.ParDo(MergeAndWrite(self._counter, self._output))
        )
