"""Predictions as columns, and as files of a shard."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.ingest.files import storage
from components.ingest.files.encode import (
    bytes_entry,
    features_message,
    float_entry,
    int_entry,
    write_record,
)
from serving.contract.contract import Contract
from serving.tasks.base import Columns, Lists

#: Key of the table's metadata: JSON with the model and its classes.
METADATA = "skymill"


@dataclass(frozen=True)
class TilePlace:
    """Position of a tile; NaN and empty text where it is unknown."""

    height_px: int
    width_px: int
    gsd_m: float
    longitude: float
    latitude: float
    crs: str
    transform: str


def metadata_of(contract: Contract, version: int | None, identity: str) -> dict[str, str]:
    """Returns the table's metadata: model, task, and classes in the order of probabilities."""
    facts = {
        "task": contract.task,
        "classes": list(contract.classes),
        "model_version": version,
        "model_digest": identity,
    }
    return {METADATA: json.dumps(facts)}


def batch_of(
    keys: Sequence[str],
    uris: Sequence[str],
    places: Sequence[TilePlace] | None,
    columns: Columns,
    version: int | None,
) -> pa.RecordBatch:
    """Returns rows of predictions.

    Args:
        keys: keys of the images.
        uris: addresses of their files.
        places: positions of tiles of rasters; None for photographs.
        columns: columns of the model's task.
        version: version of the model.
    """
    found = {"key": _texts(keys), "uri": _texts(uris)}
    if places is not None:
        found |= {name: _place_column(name, places) for name in _PLACE_COLUMNS}
    found |= {name: _array(values) for name, values in columns.items()}
    found["model_version"] = pa.array([version] * len(keys), pa.int64())
    return pa.RecordBatch.from_pydict(found)


def write_parquet(path: str, table: pa.Table) -> None:
    """Writes a table; equal tables give equal bytes."""
    with storage.create(path) as file:
        pq.write_table(table, file, compression="zstd")


def write_examples(path: str, table: pa.Table) -> None:
    """Writes a TFRecord with a tf.Example for each row: a feature for each column that has one."""
    with storage.create(path) as file:
        for batch in table.to_batches():
            for row in batch.to_pylist():
                write_record(file, features_message(list(_entries(row))))


_PLACE_COLUMNS: Mapping[str, pa.DataType] = {
    "height_px": pa.int32(),
    "width_px": pa.int32(),
    "longitude": pa.float64(),
    "latitude": pa.float64(),
    "crs": pa.string(),
    "transform": pa.string(),
}


def _place_column(name: str, places: Sequence[TilePlace]) -> pa.Array:
    values = [getattr(place, name) for place in places]
    known = [None if value == "" or value != value else value for value in values]
    return pa.array(known, _PLACE_COLUMNS[name])


def _texts(values: Sequence[str]) -> pa.Array:
    return pa.array([escaped(it) for it in values], pa.string())


def escaped(text: str) -> str:
    """Escapes the bytes in a file's name that are not UTF-8, so that names stay distinct."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _array(values: npt.NDArray[Any] | Lists) -> pa.Array:
    if isinstance(values, Lists):
        return _lists(values.values, values.lengths)
    if values.ndim == 1:
        return _flat(values)
    rows, width = values.shape
    return _lists(values.reshape(-1), np.full(rows, width))


def _lists(values: npt.NDArray[Any], lengths: npt.NDArray[np.integer]) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), _flat(values))


def _flat(values: npt.NDArray[Any]) -> pa.Array:
    if values.dtype == object:
        return pa.array(values.tolist(), pa.binary()).cast(pa.string())
    return pa.array(np.ascontiguousarray(values))


def _entries(row: Mapping[str, Any]) -> Iterator[bytes]:
    for name, value in row.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        if not values:
            continue
        if isinstance(values[0], str):
            yield bytes_entry(name, *(text.encode() for text in values))
        elif isinstance(values[0], int):
            yield int_entry(name, *values)
        else:
            yield float_entry(name, *values)
