"""JSON by RFC 8259, for other programs, which has no NaN and no Infinity."""

import json
import math
from collections.abc import Mapping
from typing import Any


def strict_json(value: Any, indent: int | None = None) -> str:
    """Serializes a plain value; NaN and infinities become null.

    Args:
        value: of mappings, lists, tuples, text, numbers and None.
        indent: as in `json.dumps`.

    >>> strict_json({"iou": float("nan"), "classes": ("a", "b")})
    '{"iou": null, "classes": ["a", "b"]}'
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
