"""Manifests: one row per image, in CSV, JSON Lines or Parquet."""

import io
import json
import math
import os
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from components.ingest.files.read import ReadFailure, read_file
from components.ingest.listing.config import MANIFEST_SUFFIXES, ManifestColumns
from components.ingest.records.record import Contents, Record, Records, SliceValue
from components.ingest.records.reject import Reject
from components.raster.documents import parse_json, table_rows
from components.raster.errors import DataError
from components.raster.library_errors import translated
from components.raster.location import is_remote, local_path
from components.raster.masking import unsigned
from components.raster.packed import Packed, in_order
from components.raster.reasons import Reason
from components.raster.split import split_named
from components.raster.text import composed, decoded, split_names

LARGEST_BYTES = 4 * 2**30
_LARGEST_FLOAT = 3.4e38
_BATCH_ROWS = 4096
_COMPARED = Record._fields[2:]  # all but key and uri
Row = Mapping[str, Any]


@dataclass(frozen=True)
class BadRow:
    """An invalid line of a manifest."""

    why: str


def list_manifest(uri: str, columns: ManifestColumns, encoding: str | None = None) -> Contents:
    """Lists one record per row; an unusable row is a reject.

    Args:
        uri: of the manifest.
        columns: of the manifest, by meaning.
        encoding: of text; see `decoded`.

    Raises:
        DataError: the manifest cannot be read, or lacks a column that the config names.
    """
    rows = read_rows(uri, encoding)
    sliced: dict[str, Packed[Any]] = {name: Packed() for name in columns.slices}
    headers = set()
    for row in rows:
        if not isinstance(row, BadRow):
            headers.add(tuple(row))
            for name, cells_so_far in sliced.items():
                cells_so_far.append(row.get(name))
    _require_columns(headers, columns, uri)
    slices = {name: iter(typed_column(column)) for name, column in sliced.items()}
    folder, found = _folder_of(uri), Contents()
    for number, row in enumerate(rows):
        if isinstance(row, BadRow):
            found.rejects.append(Reject(f"row {number + 1}", uri, Reason.BAD_ROW, row.why))
            continue
        cells = {name: next(column) for name, column in slices.items()}
        values = {name: cell for name, cell in cells.items() if cell is not None}
        outcome = _record(row, number, columns, folder, values)
        if isinstance(outcome, Record):
            found.records.append(outcome)
        else:
            found.rejects.append(outcome)
    found.records, repeated = _without_repeats(found.records)
    found.rejects += repeated
    return found


def read_rows(uri: str, encoding: str | None = None) -> Packed[Row | BadRow]:
    """Reads the rows of a manifest by its suffix; invalid lines of JSON are `BadRow`.

    Args:
        uri: of the manifest.
        encoding: of text; see `decoded`.

    Raises:
        DataError: the manifest is missing or does not match its suffix.
    """
    suffix = os.path.splitext(uri)[1].lower()
    if suffix not in MANIFEST_SUFFIXES:
        raise DataError(f"manifest {uri}: {suffix or 'no suffix'} is not .csv, .jsonl or .parquet")
    try:
        data = read_file(uri if is_remote(uri) else local_path(uri), LARGEST_BYTES)
    except ReadFailure as failure:
        raise DataError(f"manifest {uri} cannot be read ({failure.detail})") from failure
    with translated(lambda why: DataError(f"manifest {uri} is not valid {suffix[1:]}: {why}")):
        if suffix == ".parquet":
            return Packed(_parquet_rows(data))
        text = decoded(data, encoding)
        return Packed(table_rows(_lines(text, ""))) if suffix == ".csv" else _json_rows(text)


def _lines(text: str, newline: str) -> Iterable[str]:
    """Splits a text like an open file; a `StringIO` would take four bytes per character."""
    data = text.encode("utf-8", "surrogatepass")
    return io.TextIOWrapper(io.BytesIO(data), "utf-8", "surrogatepass", newline)


def _json_rows(text: str) -> Packed[Row | BadRow]:
    """Parses one row per line. Raises ValueError if no line is a row: the file has another form."""
    lines = enumerate((line.removesuffix("\n") for line in _lines(text, "\n")), start=1)
    rows = Packed(_json_row(line, number) for number, line in lines if line.strip())
    if rows and isinstance(rows[0], BadRow) and all(isinstance(row, BadRow) for row in rows):
        raise ValueError(rows[0].why)
    return rows


def _json_row(line: str, number: int) -> Row | BadRow:
    try:
        row = parse_json(line)
    except json.JSONDecodeError as error:  # it counts lines within this one
        return BadRow(f"line {number} is not JSON: {error.msg} at column {error.colno}")
    except ValueError as error:
        return BadRow(f"line {number} is not JSON: {error}")
    return row if isinstance(row, dict) else BadRow(f"line {number} must hold one JSON object")


def _parquet_rows(data: bytes) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(pyarrow.BufferReader(data))
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        yield from batch.to_pylist()


def _require_columns(
    headers: Collection[tuple[Any, ...]], columns: ManifestColumns, uri: str
) -> None:
    """Raises DataError unless the headers, one of which each row has, include all columns."""
    truth = (columns.label, columns.labels, columns.number, columns.mask)
    named = (columns.uri, *truth, columns.split, columns.group)
    wanted = [name for name in (*named, *columns.slices) if name is not None]
    present = {name for header in headers for name in header if isinstance(name, str)}
    missing = [name for name in wanted if name not in present]
    if headers and missing:
        raise DataError(
            f"manifest {uri} has no column {', '.join(missing)}; it has "
            f"{', '.join(sorted(present))}: name the right ones in source.columns"
        )


def _folder_of(uri: str) -> str:
    if is_remote(uri):
        return uri.rsplit("/", 1)[0]
    return os.path.dirname(os.path.abspath(local_path(uri)))


def _record(
    row: Row, number: int, columns: ManifestColumns, folder: str, slices: dict[str, SliceValue]
) -> Record | Reject:
    nested = [name for name in columns.of_one_value if isinstance(row.get(name), (list, dict))]
    if nested:
        detail = f"row {number + 1}: {', '.join(nested)} must be a text or a number, not a list"
        return Reject(f"row {number + 1}", folder, Reason.BAD_ROW, detail)
    given = _text(row.get(columns.uri))
    if given is None:
        return Reject(f"row {number + 1}", folder, Reason.BAD_ROW, f"{columns.uri} is empty")
    key, uri = _place(given, folder)
    label = name_of(row.get(columns.label)) if columns.label else None
    labels = _several(row.get(columns.labels), columns) if columns.labels else None
    value = number_of(row.get(columns.number)) if columns.number else None
    if columns.number and value is None:
        given = row.get(columns.number)
        detail = f"row {number + 1}: {columns.number} is {given!r}, not a finite number"
        return Reject(key, uri, Reason.NO_LABEL, detail)
    mask = _text(row.get(columns.mask)) if columns.mask else None
    if columns.mask and mask is None:
        return Reject(key, uri, Reason.NO_MASK, f"row {number + 1} names no mask")
    of_classes = bool(columns.label or columns.labels)
    if of_classes and label is None and labels is None:
        hint = "" if columns.label else " (columns.empty_labels says what an empty text means)"
        return Reject(key, uri, Reason.NO_LABEL, f"row {number + 1} names no class{hint}")
    try:
        split = split_named(_text(row.get(columns.split)) or "") if columns.split else None
    except ValueError as error:
        return Reject(key, uri, Reason.UNKNOWN_SPLIT, f"row {number + 1}: {error}")
    group = name_of(row.get(columns.group)) if columns.group else None
    mask_uri = _place(mask, folder)[1] if mask else None
    return Record(key, uri, label, labels, split, group, slices, value, mask_uri)


def _place(given: str, folder: str) -> tuple[str, str]:
    """Returns (key, uri) of a row's path; the key of a remote or absolute path is the path itself,
    without a signature."""
    if is_remote(given):
        return unsigned(given), given
    path = local_path(given) if "://" in given else given
    if is_remote(folder):
        key = posixpath.normpath(path)
        return key, posixpath.join(folder, key)
    key = posixpath.normpath(path.replace(os.sep, "/"))
    return key, os.path.join(folder, path)


def _text(value: Any) -> str | None:
    """Converts a cell to text; None if empty. A whole number from a float column has no `.0`."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def name_of(value: Any) -> str | None:
    """Converts a cell to a name in normal form; None if empty."""
    text = _text(value)
    return None if text is None else composed(text)


def number_of(value: Any) -> float | None:
    """Converts a cell to a number in the range of 32-bit floats; None for any other cell."""
    try:
        number = float(_text(value) or "")
    except ValueError:
        return None
    return number if abs(number) <= _LARGEST_FLOAT else None


def classes_of(value: Any) -> tuple[str, ...]:
    """Parses a cell's classes, a list or a text with `|` between them; possibly none.

    In a text, `\\|` is a `|` within a name, and `\\\\` a backslash.
    """
    listed = isinstance(value, (list, tuple))
    items = value if listed else split_names(value, "|") if isinstance(value, str) else [value]
    return tuple(sorted({text for item in items if (text := name_of(item)) is not None}))


def _several(value: Any, columns: ManifestColumns) -> tuple[str, ...] | None:
    """Parses classes, possibly an empty list; None if the meaning of the cell is unknown."""
    listed, found = isinstance(value, (list, tuple)), classes_of(value)
    if found or columns.task != "multi_label":
        return found or None
    says_none = listed or (isinstance(value, str) and columns.empty_labels == "no_class")
    return () if says_none else None


def typed_column(cells: Collection[Any]) -> Packed[SliceValue | None]:
    """Converts a whole slice column to one type for statistics: integers, else floats, else text.
    Text becomes a number only if every cell converts back to the same text (`007` stays text)."""
    for kind in (int, float):
        try:
            return Packed(None if _text(cell) is None else _exact(cell, kind) for cell in cells)
        except ValueError:
            continue
    return Packed(map(name_of, cells))


def _exact(cell: Any, kind: type[int] | type[float]) -> SliceValue:
    """Converts `cell` to a number of `kind`; raises ValueError if the value would change."""
    if isinstance(cell, (bool, list, dict)):
        raise ValueError(cell)
    text = _text(cell) or ""
    number = kind(text)
    plain = str(int(text)) == text if kind is int else math.isfinite(number)
    if not plain or (kind is float and text[:1] == "0" and text[1:2].isdigit()):
        raise ValueError(cell)
    return number


def _without_repeats(records: Records) -> tuple[Records, list[Reject]]:
    """Keeps one record per key if all its rows agree; rejects rows that contradict each other."""
    kept, rejects = Records(), []
    key = attrgetter("key")
    for _, same in groupby(in_order(records, key, Records), key):
        rows = list(same)
        if len(rows) == 1:
            kept.append(rows[0])
            continue
        rows.sort(key=repr)  # the order of the rows has no effect
        differing = [name for name in _COMPARED if any(_differ(name, rows))]
        detail = f"{len(rows)} rows name the same file"
        if differing:
            values = (f"{name}: {_values_text(name, rows)}" for name in differing)
            detail = f"{detail} and contradict each other ({'; '.join(values)})"
        else:
            kept.append(rows[0])
        left_out = rows if differing else rows[1:]
        rejects += [Reject(it.key, it.uri, Reason.DUPLICATE_KEY, detail) for it in left_out]
    return kept, rejects


def _differ(name: str, rows: Sequence[Record]) -> Iterator[bool]:
    return (getattr(row, name) != getattr(rows[0], name) for row in rows)


def _values_text(name: str, rows: Sequence[Record]) -> str:
    return " or ".join(sorted({repr(getattr(row, name)) for row in rows}))
