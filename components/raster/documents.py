"""JSON and CSV from other programs, read within fixed limits; duplicate keys are refused."""

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from components.raster.text import decoded

#: Larger files are refused: as Python values they take about ten times as much memory.
LARGEST_BYTES = 2 * 2**30


def parse_json(text: str | bytes) -> Any:
    """Parses a JSON text.

    Raises ValueError, also if it is nested too deeply or an object has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: str, encoding: str | None = None) -> Any:
    """Reads a JSON file. Raises ValueError or OSError, also if it is too large.

    Args:
        path: a local file.
        encoding: of the text; None: by its byte order mark, else UTF-8.
    """
    size = os.path.getsize(path)
    if size > LARGEST_BYTES:
        raise ValueError(f"it has {size:,} bytes, and at most {LARGEST_BYTES:,} are read")
    with open(path, "rb") as file:
        return parse_json(decoded(file.read(), encoding))


def table_rows(lines: Iterable[str]) -> "csv.DictReader[str]":
    """Reads the rows of a CSV text by the names in its header. Raises ValueError if the header has
    a name twice, since the intended column would be ambiguous."""
    rows = csv.DictReader(lines)
    twice = _repeated([name for name in rows.fieldnames or () if name.strip()])
    if twice:
        raise ValueError(f"its first line names a column twice: {', '.join(twice)}; rename one")
    return rows


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Builds an object from pairs; refuses duplicate keys, of which Python would keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = ", ".join(_repeated([key for key, _ in pairs]))
        raise ValueError(f"an object has a key twice: {twice}")
    return found


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
