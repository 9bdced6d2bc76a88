"""Bands requested by name, or by position from 1, which is written `#1` as text."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

# No sensor and no file description uses such a name, so a band known only by its position is never
# mistaken for a sensor's B1.
_POSITION = re.compile(r"#([1-9]\d*)")
_NAME = r"^[^\n]+$"


def position_name(position: int) -> str:
    """Returns the placeholder name of a band that only its position from 1 identifies."""
    return f"#{position}"


def position_of(wanted: str | int) -> int | None:
    """Returns the position from 1 of a requested band; None if it is requested by name.

    >>> position_of("#2"), position_of(3)
    (2, 3)
    >>> print(position_of("B04"))
    None
    """
    if isinstance(wanted, int):
        return wanted
    match = _POSITION.fullmatch(wanted)
    return int(match[1]) if match else None


def listed_bands(text: str) -> tuple[str, ...]:
    """Parses bands from a text like `B04,B03` or `3,2,1`, whose numbers are positions.

    >>> listed_bands("B04, B03")
    ('B04', 'B03')
    >>> listed_bands("3,2,1")
    ('#3', '#2', '#1')
    """
    names = (name.strip() for name in text.split(","))
    return tuple(position_name(int(name)) if name.isdecimal() else name for name in names if name)


def _as_text(wanted: Any) -> Any:
    is_number = isinstance(wanted, int) and not isinstance(wanted, bool)
    return position_name(wanted) if is_number and wanted > 0 else wanted


def _is_a_name(name: str) -> str:
    if position_of(name) is not None:
        raise ValueError(f"{name!r} means a position and is not a name")
    return name


#: A band as a configuration requests it: a name, a common name, or a position from 1.
BandRequest = Annotated[
    str,
    Field(min_length=1, pattern=_NAME),
    BeforeValidator(_as_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "pattern": _NAME},
                {"type": "integer", "minimum": 1},
            ]
        }
    ),
]

#: A name that a configuration gives a band.
BandName = Annotated[str, Field(min_length=1, pattern=_NAME), AfterValidator(_is_a_name)]
