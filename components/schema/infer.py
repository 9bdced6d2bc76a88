"""Initial schema, inferred from training statistics and from the example spec."""

from collections.abc import Sequence

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.raster import example
from components.raster.errors import DataError

MAX_TEXT_VALUES = 1000
"""Most values of a feature that TFDV keeps; with more there is no complete list."""

Bounds = tuple[float | None, float | None]

_INTEGER_BOUNDS: dict[str, Bounds] = {
    example.HEIGHT: (1, None),
    example.WIDTH: (1, None),
    example.CHANNELS: (1, 4),
}
_REAL_BOUNDS: dict[str, Bounds] = {
    example.BRIGHTNESS: (0, 255),
    example.SHARPNESS: (0, None),
    example.VALID_FRACTION: (0, 1),
}
_REAL_BOUNDS_BY_PREFIX: dict[str, Bounds] = {
    "image/mean_": (0, 255),
    "image/stddev_": (0, 127.5),  # half of the samples at each end of [0, 255]
}
#: Tiles have different units; only this bound holds for all of them.
_TILE_BOUNDS_BY_PREFIX: dict[str, Bounds] = {"image/stddev_": (0, None)}
_FORMATS = ("jpeg", "png")
_LABELS = (
    (example.LABEL, example.LABEL_TEXT),
    (example.LABELS, example.LABELS_TEXT),
    (example.OBJECT_LABEL, example.OBJECT_LABEL_TEXT),
)


def infer(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, classes: Sequence[str] = ()
) -> schema_pb2.Schema:
    """Infers the requirements on later data from the statistics of the training split.

    The example spec's features are required, with one value each, within the bounds of pixels, and
    their numbers are never NaN. Tiles have any number of bands and any values. Labels are limited
    to `classes` or, if that is empty, to those in the statistics. Slice features may take any
    value: places and dates are expected to change. Raises DataError if the statistics cover no
    example.
    """
    if not statistics.datasets or not statistics.datasets[0].num_examples:
        raise DataError("no schema can be inferred: the training split has no examples")
    schema = tfdv.infer_schema(statistics)
    are_tiles = _values(statistics, example.FORMAT) == [example.TILE_FORMAT]
    for feature in schema.feature:
        if feature.name.startswith(example.SLICE_PREFIX):
            _free_text(feature)
        elif feature.name in example.SEVERAL:
            _allow_several(feature)
        elif feature.name in example.OPTIONAL:
            _free_text(feature)
            _allow_several(feature)
        else:
            _require(feature)
            _bound(feature, are_tiles)
    _limit_text(schema, example.FORMAT, (example.TILE_FORMAT,) if are_tiles else _FORMATS)
    for index, text in _LABELS:
        known = sorted(classes) or _values(statistics, text)
        _limit_text(schema, text, known)
        _limit_index(schema, index, len(known))
    _drop_unused_domains(schema)
    return schema


def _free_text(feature: schema_pb2.Feature) -> None:
    if feature.WhichOneof("domain_info") == "domain":
        feature.ClearField("domain")


def _allow_several(feature: schema_pb2.Feature) -> None:
    """Allows any number of labels, including none: an image may show no known class."""
    feature.ClearField("presence")
    feature.ClearField("shape")
    feature.ClearField("value_count")


def _require(feature: schema_pb2.Feature) -> None:
    feature.presence.min_fraction = 1.0
    feature.presence.min_count = 1
    feature.ClearField("value_count")
    feature.ClearField("shape")
    feature.shape.dim.add(size=1)


def _bound(feature: schema_pb2.Feature, is_tile: bool) -> None:
    if feature.type == schema_pb2.FLOAT:
        feature.float_domain.disallow_nan = True
        feature.float_domain.disallow_inf = True
    if feature.name in _INTEGER_BOUNDS:
        low, high = _INTEGER_BOUNDS[feature.name]
        most = None if is_tile and feature.name == example.CHANNELS else high
        _set_bounds(feature.int_domain, (low, most))
    bounds = _REAL_BOUNDS.get(feature.name)
    by_prefix = _TILE_BOUNDS_BY_PREFIX if is_tile else _REAL_BOUNDS_BY_PREFIX
    for prefix, shared in by_prefix.items():
        bounds = shared if feature.name.startswith(prefix) else bounds
    if bounds:
        _set_bounds(feature.float_domain, bounds)


def _set_bounds(domain: schema_pb2.IntDomain | schema_pb2.FloatDomain, bounds: Bounds) -> None:
    low, high = bounds
    if low is not None:
        domain.min = low
    if high is not None:
        domain.max = high


def _limit_text(schema: schema_pb2.Schema, name: str, values: Sequence[str]) -> None:
    features = [feature for feature in schema.feature if feature.name == name]
    if not features or not values:
        return
    (feature,) = features
    feature.domain = name
    others = [domain for domain in schema.string_domain if domain.name != name]
    del schema.string_domain[:]
    schema.string_domain.extend(others)
    schema.string_domain.add(name=name, value=values)


def _limit_index(schema: schema_pb2.Schema, name: str, classes: int) -> None:
    for feature in schema.feature:
        if feature.name == name and feature.type == schema_pb2.INT and classes:
            _set_bounds(feature.int_domain, (0, classes - 1))


def _drop_unused_domains(schema: schema_pb2.Schema) -> None:
    used = {feature.domain for feature in schema.feature if feature.HasField("domain")}
    kept = [domain for domain in schema.string_domain if domain.name in used]
    del schema.string_domain[:]
    schema.string_domain.extend(kept)


def _values(statistics: statistics_pb2.DatasetFeatureStatisticsList, name: str) -> list[str]:
    """Returns every value of a text feature, sorted; empty if statistics do not hold them all."""
    for feature in statistics.datasets[0].features:
        if list(feature.path.step) == [name]:
            buckets = feature.string_stats.rank_histogram.buckets
            complete = feature.string_stats.unique == len(buckets) <= MAX_TEXT_VALUES
            return sorted(bucket.label for bucket in buckets) if complete else []
    return []
