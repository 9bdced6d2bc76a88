"""Examples that break a schema's rule, found in the data itself."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from components.node.records import records
from components.raster.example import KEY

Value = bytes | int | float

_KIND_OF_TYPE = {
    schema_pb2.BYTES: "bytes_list",
    schema_pb2.INT: "int64_list",
    schema_pb2.FLOAT: "float_list",
}
_LONGEST = 40


@dataclass(frozen=True)
class Offender:
    """An example's key, and as text its offending or missing value."""

    key: str
    value: str


def find_offenders(
    paths: Sequence[str],
    schema: schema_pb2.Schema,
    features: Iterable[str],
    limit: int,
    scan: int,
) -> Mapping[str, Sequence[Offender]]:
    """Finds up to `limit` examples for each of `features` that break its rule in `schema`.

    Reads the TFRecord files once, in order, until every feature has `limit` examples or `scan`
    examples were read. A feature that is not in the schema offends wherever it occurs.
    """
    found: dict[str, list[Offender]] = {name: [] for name in features}
    rules = {name: _rule(name, schema) for name in found}
    for message in _examples(paths, scan):
        wanted = [name for name, offenders in found.items() if len(offenders) < limit]
        if not wanted:
            break
        held = message.features.feature
        for name in wanted:
            wrong = rules[name].violation(held.get(name))
            if wrong:
                found[name].append(Offender(_key(message), wrong))
    return found


@dataclass(frozen=True)
class _Rule:
    """The schema's rule for one feature's values in one example."""

    feature: schema_pb2.Feature | None
    allowed: frozenset[str]

    def violation(self, held: tf.train.Feature | None) -> str | None:
        """Describes the violation, or returns None."""
        kind = held.WhichOneof("kind") if held is not None else None
        values: Sequence[Value] = getattr(held, kind).value if kind else ()
        if self.feature is None:
            return _words(values[0]) if values else None
        if not values:
            return "missing" if self.feature.presence.min_fraction > 0 else None
        if kind != _KIND_OF_TYPE.get(self.feature.type, kind):
            return f"{_words(values[0])} of the wrong type"
        if not _count_fits(self.feature, len(values)):
            return f"{len(values)} values"
        return next((_words(value) for value in values if not self._fits(value)), None)

    def _fits(self, value: Value) -> bool:
        assert self.feature is not None
        if isinstance(value, bytes):
            return not self.allowed or value.decode(errors="replace") in self.allowed
        domain = self.feature.float_domain if isinstance(value, float) else self.feature.int_domain
        if isinstance(value, float) and not math.isfinite(value):
            nan = math.isnan(value)
            return not (domain.disallow_nan if nan else domain.disallow_inf)
        return not (
            (domain.HasField("min") and value < domain.min)
            or (domain.HasField("max") and value > domain.max)
        )


def _rule(name: str, schema: schema_pb2.Schema) -> _Rule:
    feature = next((feature for feature in schema.feature if feature.name == name), None)
    if feature is None:
        return _Rule(None, frozenset())
    allowed = set(feature.string_domain.value)
    for domain in schema.string_domain:
        if feature.HasField("domain") and domain.name == feature.domain:
            allowed.update(domain.value)
    return _Rule(feature, frozenset(allowed))


def _count_fits(feature: schema_pb2.Feature, count: int) -> bool:
    if feature.HasField("shape"):
        return count == math.prod(dim.size for dim in feature.shape.dim)
    if feature.HasField("value_count"):
        bounds = feature.value_count
        return count >= bounds.min and (not bounds.max or count <= bounds.max)
    return True


def _examples(paths: Sequence[str], most: int) -> Iterator[tf.train.Example]:
    return map(tf.train.Example.FromString, islice(records(*paths), most))


def _key(message: tf.train.Example) -> str:
    held = message.features.feature
    keys = held[KEY].bytes_list.value if KEY in held else ()
    return keys[0].decode(errors="replace") if keys else "(an example without a key)"


def _words(value: Value) -> str:
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
        return repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "...")
    return f"{value:g}" if isinstance(value, float) else str(value)
