"""Cron expressions in the format of Kubeflow's controller: six fields, seconds first.

Its library also accepts five, but still reads the first as seconds: a crontab's expression for
every night at two would run at two minutes past every hour. Therefore five are refused here.
Source of the syntax: github.com/robfig/cron, version 1.2.
"""

import re
from dataclasses import dataclass

from components.raster.errors import ConfigError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SHORT = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


def checked_cron(expression: str) -> str:
    """Validates an expression and returns it with single spaces.

    Raises:
        ConfigError: it does not have six fields, a field has an invalid value, or runs would start
            one second apart.

    >>> checked_cron("0 0 2  * * *")
    '0 0 2 * * *'
    >>> checked_cron("0 2 * * *")
    Traceback (most recent call last):
        ...
    components.raster.errors.ConfigError: the schedule '0 2 * * *' has five fields, ...
    """
    fields = expression.split()
    text = " ".join(fields)
    if text in _SHORT:
        return text
    if len(fields) == 5:
        raise ConfigError(
            f"the schedule {text!r} has five fields, and Kubeflow reads the seconds first: it "
            f"would take {fields[0]!r} for the second and {fields[1]!r} for the minute. Put the "
            f"second before it: '0 {text}'"
        )
    if len(fields) != len(_FIELDS):
        raise ConfigError(
            f"the schedule {text!r} has {len(fields)} fields and needs six: second, minute, hour, "
            "day of the month, month, day of the week. Every night at two is '0 0 2 * * *'"
        )
    values = [_values(field, one, text) for field, one in zip(_FIELDS, fields, strict=True)]
    _require_pauses(values[0], values[1], fields[0], text)
    return text


def _values(field: _Field, value: str, text: str) -> frozenset[int]:
    """Returns the values of a field, as the controller expands it."""
    return frozenset().union(*(_expanded(field, part, text) for part in value.split(",")))


def _expanded(field: _Field, part: str, text: str) -> range:
    """Expands a list item: `*`, `?`, `5` or `5-9`, with or without `/step`; `5/2` has no end."""
    bounds, slash, step = part.partition("/")
    if slash and not (re.fullmatch("[0-9]+", step) and int(step)):
        raise _wrong(field, part, text, "the step after / is not a positive number")
    if bounds in ("*", "?"):
        ends = [field.first, field.last]
    else:
        ends = [_number(field, one, text) for one in bounds.split("-")]
    if len(ends) > 2 or ends != sorted(ends):
        raise _wrong(field, part, text, "the range runs backwards")
    last = field.last if slash and len(ends) == 1 else ends[-1]
    return range(ends[0], last + 1, int(step) if slash else 1)


def _require_pauses(
    seconds: frozenset[int], minutes: frozenset[int], value: str, text: str
) -> None:
    """Raises ConfigError if a run would start one second after another."""
    second = next((second for second in sorted(seconds) if second + 1 in seconds), None)
    minutes_meet = any((minute + 1) % 60 in minutes for minute in minutes)
    if second is None and {0, 59} <= seconds and minutes_meet:
        second = 59
    if second is None:
        return
    both = f"at the seconds {second} and {(second + 1) % 60}"
    pace = "every second" if len(seconds) == 60 else both
    raise ConfigError(
        f"the schedule {text!r} has {value!r} for the second: it would start a run {pace}. "
        "Put 0 there"
    )


def _number(field: _Field, text: str, schedule: str) -> int:
    if text.lower() in field.words:
        return field.words.index(text.lower()) + field.first
    if not re.fullmatch(r"[0-9]+", text) or not field.first <= int(text) <= field.last:
        names = f" or {'-'.join((field.words[0], field.words[-1]))}" if field.words else ""
        raise _wrong(field, text, schedule, f"it goes from {field.first} to {field.last}{names}")
    return int(text)


def _wrong(field: _Field, value: str, schedule: str, why: str) -> ConfigError:
    return ConfigError(f"the schedule {schedule!r} has {value!r} for the {field.name}: {why}")
