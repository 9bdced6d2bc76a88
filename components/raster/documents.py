"""JSON that others wrote, within known limits."""

import json
import os
from typing import Any

from components.raster.text import decoded

#: Larger files are refused: as Python values they take some ten times as much memory.
LARGEST_BYTES = 2 * 2**30


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError, also where it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: str, encoding: str | None = None) -> Any:
    """The value of a JSON file. Raises ValueError or OSError, also where it is too large.

    Args:
        path: a local file.
        encoding: UTF-8, or as its byte order mark says, where it is not given.
    """
    size = os.path.getsize(path)
    if size > LARGEST_BYTES:
        raise ValueError(f"it has {size:,} bytes, and at most {LARGEST_BYTES:,} are read")
    with open(path, "rb") as file:
        return parse_json(decoded(file.read(), encoding))
