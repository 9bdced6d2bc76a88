"""Histograms of each feature in two sets of statistics."""

import math
from collections.abc import Iterator
from typing import TypeAlias

from tensorflow_metadata.proto.v0 import statistics_pb2

from pipelines.page.charts.bars import Histogram
from pipelines.page.evidence import FeatureDrift

_MOST_FEATURES = 24
_STANDARD = statistics_pb2.Histogram.STANDARD
Statistics: TypeAlias = statistics_pb2.DatasetFeatureStatisticsList


def feature_drift(before: Statistics, after: Statistics) -> tuple[FeatureDrift, ...]:
    """Returns the numeric features that both have, those with the largest distance first."""
    known = dict(_histograms(before))
    pairs = [
        FeatureDrift(name, known[name], it) for name, it in _histograms(after) if name in known
    ]
    return tuple(sorted(pairs, key=lambda it: (-_distance(it), it.name))[:_MOST_FEATURES])


def _histograms(statistics: Statistics) -> Iterator[tuple[str, Histogram]]:
    for dataset in statistics.datasets:
        for feature in dataset.features:
            for found in feature.num_stats.histograms:
                edges = [it.low_value for it in found.buckets]
                counts = [it.sample_count for it in found.buckets]
                if found.type != _STANDARD or not sum(counts):
                    continue
                edges.append(found.buckets[-1].high_value)
                if all(map(math.isfinite, edges)) and edges[-1] > edges[0]:
                    yield ".".join(feature.path.step), Histogram(edges, counts)


def _distance(pair: FeatureDrift) -> float:
    """Returns the largest difference of the two cumulative distributions (Kolmogorov, Smirnov)."""
    edges = sorted({*pair.before.edges, *pair.after.edges})
    return max(abs(_share(pair.before, it) - _share(pair.after, it)) for it in edges)


def _share(histogram: Histogram, value: float) -> float:
    """Returns the share of a histogram below a value, evenly spread within each bin."""
    below = 0.0
    pairs = zip(histogram.edges[:-1], histogram.edges[1:], histogram.counts, strict=True)
    for low, high, count in pairs:
        part = (value - low) / (high - low) if high > low else float(value > low)
        below += count * min(max(part, 0.0), 1.0)
    return below / histogram.total
