"""JSON as RFC 8259 has it, for programs that are not ours: it has no NaN and no Infinity."""

import json
import math
from collections.abc import Mapping
from typing import Any


def strict_json(value: Any, indent: int | None = None) -> str:
    """The text of a plain value; a number that is none becomes null.

    Args:
        value: of mappings, lists, tuples, text, numbers and None.
        indent: as in `json.dumps`.
    """
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
