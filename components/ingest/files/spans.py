"""Spans: the ingestion interval that a run reads, if the source's path has a pattern for it.

The terms are TFX's: `{SPAN}` stands for a number, `{VERSION}` for that of a correction within a
span, and `{YYYY}`, `{MM}` and `{DD}` together for a day, whose number counts days from 1970-01-01.
A run reads one span: the newest available one, or the configured one.
"""

import datetime
import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from components.ingest.files.remote import remote_files, root_of
from components.raster.errors import ConfigError, DataError
from components.raster.location import is_remote, local_path

_EPOCH = datetime.date(1970, 1, 1)
_DIGITS = {"SPAN": r"\d+", "VERSION": r"\d+", "YYYY": r"\d{4}", "MM": r"\d{2}", "DD": r"\d{2}"}
_PLACEHOLDER = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)\}")
_DAY = ("YYYY", "MM", "DD")

SpanName = int | datetime.date


@dataclass(frozen=True, order=True)
class Span:
    """One span: its number and version, and the values of the placeholders."""

    number: int
    span_version: int
    values: tuple[tuple[str, str], ...]


def has_pattern(place: str) -> bool:
    """Checks whether a path has a pattern for spans.

    >>> has_pattern("images/{YYYY}-{MM}-{DD}"), has_pattern("images")
    (True, False)
    """
    return bool(_PLACEHOLDER.search(place))


def require_sound(place: str) -> None:
    """Raises ConfigError for a pattern that does not determine the span of a path."""
    found = set(_PLACEHOLDER.findall(place))
    days = found & set(_DAY)
    if not found or ("SPAN" in found and not days) or ("SPAN" not in found and len(days) == 3):
        return
    raise ConfigError(
        f"{place}: a pattern of spans needs either {{SPAN}}, or {{YYYY}}, {{MM}} and {{DD}}; "
        "{VERSION} may stand beside them"
    )


def span_number(name: SpanName) -> int:
    """Returns the number of a span; a day counts from 1970-01-01.

    >>> span_number(7), span_number(datetime.date(1970, 1, 3))
    (7, 2)
    """
    return (name - _EPOCH).days if isinstance(name, datetime.date) else name


def find_span(place: str, wanted: SpanName | None) -> Span:
    """Returns the newest version of the span that a run reads: the wanted span, or the newest.

    Raises:
        DataError: there is no span, or not the wanted one.
    """
    at = place if is_remote(place) else local_path(place)
    spans = sorted(_spans(_names(place), _pattern(at)))
    if not spans:
        raise DataError(f"no span at {place}: nothing there has a name of this form")
    if wanted is None:
        return spans[-1]
    number = span_number(wanted)
    fitting = [span for span in spans if span.number == number]
    if not fitting:
        there = sorted({span.number for span in spans})
        raise DataError(
            f"no span {wanted} at {place}: there are {len(there)}, "
            f"from {_shown(place, there[0])} to {_shown(place, there[-1])}"
        )
    return fitting[-1]


def name_of(place: str, span: Span) -> SpanName:
    """Returns a span in the form of a configuration: a day if the pattern is one of days."""
    return _EPOCH + datetime.timedelta(days=span.number) if "{YYYY}" in place else span.number


def filled(tree: Any, span: Span) -> Any:
    """Fills every placeholder in plain values with the span's own text."""
    if isinstance(tree, dict):
        return {name: filled(item, span) for name, item in tree.items()}
    if isinstance(tree, list):
        return [filled(item, span) for item in tree]
    if isinstance(tree, str):
        values = dict(span.values)
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), tree)
    return tree


def _pattern(place: str) -> re.Pattern[str]:
    """Compiles a path's prefix pattern; a repeated placeholder must match the same text."""
    parts = _PLACEHOLDER.split(place.rstrip("/"))
    text = re.escape(parts[0])
    for at in range(1, len(parts), 2):
        name = parts[at]
        seen = name in parts[1:at:2]
        text += f"(?P={name})" if seen else f"(?P<{name}>{_DIGITS[name]})"
        text += re.escape(parts[at + 1])
    return re.compile(text + r"(?=/|$)")


def _names(place: str) -> Iterable[str]:
    """Lists candidate paths of spans."""
    if not is_remote(place):
        literal = _PLACEHOLDER.split(local_path(place).rstrip("/"))[::2]
        return glob.iglob("*".join(map(glob.escape, literal)))
    folder = _PLACEHOLDER.split(place)[0].rpartition("/")[0]
    files, path = remote_files(folder)
    return (f"{root_of(folder)}{name}" for name in files.listing(path))


def _spans(names: Iterable[str], pattern: re.Pattern[str]) -> set[Span]:
    found = set()
    for name in names:
        values = pattern.match(name)
        if values and (span := _span(values.groupdict())):
            found.add(span)
    return found


def _span(values: dict[str, str]) -> Span | None:
    """Parses the values of placeholders; None for an invalid day."""
    if "SPAN" in values:
        number = int(values["SPAN"])
    else:
        try:
            day = datetime.date(*(int(values[name]) for name in _DAY))
        except ValueError:
            return None
        number = span_number(day)
    return Span(number, int(values.get("VERSION", 0)), tuple(sorted(values.items())))


def _shown(place: str, number: int) -> str:
    return str(name_of(place, Span(number, 0, ())))
