"""TFDV's own generators, applied shard by shard.

A shard is always counted from its first record to its last, and shards are always merged in the
order of their names. So the result depends neither on the place nor on the number of workers:
floating-point sums and quantile sketches are bit-identical.
"""

from collections.abc import Iterable
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.statistics.projection import counted_columns


class ShardCounter:
    """Counts shards and merges the counts; cheap to create and to send to a worker."""

    def __init__(
        self, exclude: tuple[str, ...] = (), schema: schema_pb2.Schema | None = None
    ) -> None:
        self._exclude = exclude
        self._schema = schema
        options = tfdv.StatsOptions(schema=schema, use_sketch_based_topk_uniques=True)
        self._generators = stats_impl.get_generators(options, in_memory=True)
        for generator in self._generators:
            generator.setup()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._exclude, self._schema)

    def count(self, path: str) -> list[Any]:
        """Counts one shard: an accumulator for each generator, compacted for transfer."""
        counts = self._nothing()
        for columns in counted_columns(path, self._exclude):
            counts = [
                generator.add_input(count, columns)
                for generator, count in zip(self._generators, counts, strict=True)
            ]
        return self._compact(counts)

    def merge(self, shards: Iterable[list[Any]]) -> statistics_pb2.DatasetFeatureStatisticsList:
        """Merges all shards, given in the order of their names, into statistics."""
        merged = self._nothing()
        for shard in shards:
            merged = [
                generator.merge_accumulators([sum_, count])
                for generator, sum_, count in zip(self._generators, merged, shard, strict=True)
            ]
        statistics = stats_impl.extract_statistics_output(merged, self._generators)
        for dataset in statistics.datasets:
            ordered = sorted(dataset.features, key=lambda feature: tuple(feature.path.step))
            del dataset.features[:]
            dataset.features.extend(ordered)
        return statistics

    def _nothing(self) -> list[Any]:
        return [generator.create_accumulator() for generator in self._generators]

    def _compact(self, counts: list[Any]) -> list[Any]:
        return [
            generator.compact(count)
            for generator, count in zip(self._generators, counts, strict=True)
        ]
