"""Description of a schema, and of the difference between two, as text."""

from tensorflow_metadata.proto.v0 import schema_pb2

_TYPES = {
    schema_pb2.BYTES: "text",
    schema_pb2.INT: "integer",
    schema_pb2.FLOAT: "number",
    schema_pb2.STRUCT: "structure",
}
_SHOWN = 20


def describe(schema: schema_pb2.Schema) -> list[str]:
    """Returns a line per feature, sorted by name: type, presence, number of values and domain."""
    features = _by_name(schema)
    return [f"{name}: {', '.join(_facets(features[name], schema))}" for name in sorted(features)]


def diff(old: schema_pb2.Schema | None, new: schema_pb2.Schema) -> list[str]:
    """Returns the changes from `old` to `new`, one per line; empty if there are none."""
    before = _by_name(old) if old else {}
    after = _by_name(new)
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            lines.append(f"+ {name}: {', '.join(_facets(after[name], new))}")
        elif name not in after:
            lines.append(f"- {name}: no longer known")
        elif old:
            lines += [f"~ {name}: {line}" for line in _changes(name, old, new)]
    return lines


def _changes(name: str, old: schema_pb2.Schema, new: schema_pb2.Schema) -> list[str]:
    before, after = _by_name(old)[name], _by_name(new)[name]
    was, is_ = _facets(before, old, short=True), _facets(after, new, short=True)
    lines = [f"{b} -> {a}" for b, a in zip(was, is_, strict=True) if b != a]
    old_values, new_values = _values(before, old), _values(after, new)
    if old_values and new_values:
        lines += [f"also allows {value!r}" for value in sorted(new_values - old_values)]
        lines += [f"no longer allows {value!r}" for value in sorted(old_values - new_values)]
    if not lines and (before != after):
        lines.append("a setting that this description leaves out has changed")
    return lines


def _by_name(schema: schema_pb2.Schema) -> dict[str, schema_pb2.Feature]:
    return {feature.name: feature for feature in schema.feature}


def _facets(
    feature: schema_pb2.Feature, schema: schema_pb2.Schema, short: bool = False
) -> list[str]:
    return [
        _TYPES.get(feature.type, "untyped"),
        _presence(feature),
        _count(feature),
        _domain(feature, schema, short),
    ]


def _presence(feature: schema_pb2.Feature) -> str:
    fraction = feature.presence.min_fraction
    if fraction >= 1:
        return "in every example"
    return f"in at least {fraction:.0%} of examples" if fraction > 0 else "may be missing"


def _count(feature: schema_pb2.Feature) -> str:
    if feature.HasField("shape"):
        sizes = " x ".join(str(dim.size) for dim in feature.shape.dim) or "1"
        return "one value" if sizes == "1" else f"{sizes} values"
    if feature.HasField("value_count"):
        low, high = feature.value_count.min, feature.value_count.max
        return f"{low} to {high} values" if high else f"at least {low} values"
    return "any number of values"


def _domain(feature: schema_pb2.Feature, schema: schema_pb2.Schema, short: bool) -> str:
    kind = feature.WhichOneof("domain_info")
    if kind in ("int_domain", "float_domain"):
        return _range(getattr(feature, kind))
    values = sorted(_values(feature, schema))
    if not values:
        return "any value" if kind is None else kind
    if short:
        return "one of a list"
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return f"one of {', '.join(values[:_SHOWN])}{more}"


def _range(domain: schema_pb2.IntDomain | schema_pb2.FloatDomain) -> str:
    low = f"{domain.min:g}" if domain.HasField("min") else None
    high = f"{domain.max:g}" if domain.HasField("max") else None
    if low is not None and high is not None:
        words = f"{low} to {high}"
    else:
        words = f"from {low}" if low is not None else f"up to {high}" if high else "any value"
    return words + (", never NaN" if getattr(domain, "disallow_nan", False) else "")


def _values(feature: schema_pb2.Feature, schema: schema_pb2.Schema) -> set[str]:
    kind = feature.WhichOneof("domain_info")
    if kind == "string_domain":
        return set(feature.string_domain.value)
    if kind == "domain":
        return {
            value
            for domain in schema.string_domain
            if domain.name == feature.domain
            for value in domain.value
        }
    return set()
