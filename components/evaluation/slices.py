"""Names of slices in the config, the findings and the metrics file.

A slice is written `feature=value`, a crossed one `feature=value,other=value`, all examples
`overall`. Without values (`feature`, `feature,other`) it covers every value of the features. A
backslash precedes each comma and backslash within a value.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from components.raster.errors import ConfigError
from components.raster.example import LABEL, slice_feature
from components.raster.text import join_names, split_names

OVERALL = "overall"
_SEPARATOR = ","
_ESCAPED = re.compile(rf"\\[\\{_SEPARATOR}]")
#: Features of the slices of corrupted copies.
CORRUPTION, STRENGTH = "corruption", "strength"

#: Features of a slice with their values, sorted by feature; empty for all examples.
SliceKey: TypeAlias = tuple[tuple[str, str], ...]


def slice_name(key: SliceKey) -> str:
    """Formats a slice as `parse_selector` reads it; without features, as `overall`.

    >>> print(slice_name((("region", "north"), ("season", "dry, hot"))))
    region=north,season=dry\\, hot
    """
    return join_names((f"{feature}={value}" for feature, value in key), _SEPARATOR) or OVERALL


@dataclass(frozen=True)
class Selector:
    """Slices that a rule covers: features, each with one value, or None for every value."""

    parts: tuple[tuple[str, str | None], ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The features, sorted."""
        return tuple(feature for feature, _ in self.parts)

    @property
    def is_open(self) -> bool:
        """True if it covers every value of some feature rather than one slice."""
        return any(value is None for _, value in self.parts)

    def matches(self, key: SliceKey) -> bool:
        """Checks whether the slice `key` is one of those selected."""
        return tuple(feature for feature, _ in key) == self.features and all(
            wanted is None or wanted == found
            for (_, wanted), (_, found) in zip(self.parts, key, strict=True)
        )

    def __str__(self) -> str:
        parts = (f if v is None else f"{f}={v}" for f, v in self.parts)
        return join_names(parts, _SEPARATOR) or OVERALL


def parse_selector(text: str) -> Selector:
    """Parses `overall`, `feature`, `feature=value` or a cross of them joined by commas.

    Raises ConfigError for an empty name or a feature named twice.

    >>> parse_selector("region, season=dry\\, hot").parts
    (('region', None), ('season', 'dry, hot'))
    """
    if text.strip() == OVERALL:
        return Selector(())
    parts = []
    for part in split_names(text, _SEPARATOR):
        feature, given, value = part.partition("=")
        parts.append((feature.strip(), value.strip() if given else None))
    names = [feature for feature, _ in parts]
    between = _ESCAPED.sub("_", text).split(_SEPARATOR)
    if not all(map(str.strip, between)) or not all(names) or len(set(names)) < len(names):
        raise ConfigError(
            f"slice {text!r}: write `{OVERALL}`, `feature`, `feature=value`, "
            "or several of these with different features, joined by commas; a comma within a "
            "value has a backslash before it"
        )
    return Selector(tuple(sorted(parts, key=lambda part: part[0])))


def feature_of(name: str) -> str:
    """Returns the feature of a tf.Example for a slice feature's name.

    A plain name is a column of the manifest (`region` is `slice/region`); a name with a slash, and
    `label`, stay as they are.
    """
    return name if "/" in name or name == LABEL else slice_feature(name)


def bin_name(value: float, edges: Sequence[float]) -> str:
    """Names the half-open interval of ascending `edges` around `value`: `<60`, `60..120`, `>=120`.

    NaN gives `nan`.

    >>> bin_name(15.0, (0.0, 10.0, 20.0))
    '10..20'
    """
    if value != value:
        return "nan"
    index = bisect_right(edges, value)
    if index == 0:
        return f"<{edges[0]:g}"
    if index == len(edges):
        return f">={edges[-1]:g}"
    return f"{edges[index - 1]:g}..{edges[index]:g}"


def slice_values(
    features: Mapping[str, Sequence[bytes | float]],
    names: Sequence[str],
    bins: Mapping[str, Sequence[float]],
) -> dict[str, tuple[str, ...]]:
    """Returns the slice values of one example, as text.

    Args:
        features: the example's features; a missing one puts the example in no slice by it.
        names: the slice features' names, as in the config.
        bins: ascending edges for the names whose numbers are cut into intervals.
    """
    values = {}
    for name in names:
        found = features.get(feature_of(name), ())
        edges = bins.get(name)
        values[name] = tuple(_text(value, edges) for value in found)
    return values


def _text(value: bytes | float, edges: Sequence[float] | None) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return f"{value:g}" if edges is None else bin_name(value, edges)
