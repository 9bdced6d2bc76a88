"""Divergence of two sets of statistics, feature by feature, from TFDV's own comparators."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

Statistics: TypeAlias = statistics_pb2.DatasetFeatureStatisticsList
Comparison = Literal["drift", "skew"]

_JENSEN_SHANNON = anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE
_TYPES = {
    statistics_pb2.FeatureNameStatistics.INT: schema_pb2.INT,
    statistics_pb2.FeatureNameStatistics.FLOAT: schema_pb2.FLOAT,
    statistics_pb2.FeatureNameStatistics.STRING: schema_pb2.BYTES,
    statistics_pb2.FeatureNameStatistics.BYTES: schema_pb2.BYTES,
}


def divergences(
    comparison: Comparison, current: Statistics, other: Statistics, thresholds: Mapping[str, float]
) -> Mapping[str, float | None]:
    """Returns the Jensen-Shannon divergence, in bits, of every feature in `thresholds`.

    Text is compared by the frequencies of its values, numbers by histograms with common buckets
    (https://www.tensorflow.org/tfx/data_validation, "drift" and "skew"). None if TFDV measures
    nothing: one side lacks the feature, or has no finite value of it.
    """
    measured: dict[str, float | None] = dict.fromkeys(thresholds)
    schema = _schema(comparison, current, thresholds)
    if not schema.feature or not number_of_examples(other):
        return measured
    sides = {"drift": "previous_statistics", "skew": "serving_statistics"}
    anomalies = tfdv.validate_statistics(current, schema, **{sides[comparison]: other})
    for info in anomalies.drift_skew_info:
        for measurement in (*info.drift_measurements, *info.skew_measurements):
            if measurement.type == _JENSEN_SHANNON:
                measured[".".join(info.path.step)] = measurement.value
    return measured


def feature_names(statistics: Statistics) -> set[str]:
    """Returns the features of which at least one example has a value."""
    return {
        ".".join(feature.path.step)
        for dataset in statistics.datasets
        for feature in dataset.features
        if _common(feature).num_non_missing
    }


def number_of_examples(statistics: Statistics) -> int:
    return int(statistics.datasets[0].num_examples) if statistics.datasets else 0


def _schema(
    comparison: Comparison, current: Statistics, thresholds: Mapping[str, float]
) -> schema_pb2.Schema:
    """Returns a schema that holds only the comparators."""
    schema = schema_pb2.Schema()
    for feature in current.datasets[0].features if current.datasets else ():
        name = ".".join(feature.path.step)
        if name in thresholds and feature.type in _TYPES:
            compared = schema.feature.add(name=name, type=_TYPES[feature.type])
            comparator = getattr(compared, f"{comparison}_comparator")
            comparator.jensen_shannon_divergence.threshold = thresholds[name]
    return schema


def _common(feature: statistics_pb2.FeatureNameStatistics) -> statistics_pb2.CommonStatistics:
    kind = feature.WhichOneof("stats")
    return getattr(feature, kind).common_stats if kind else statistics_pb2.CommonStatistics()
