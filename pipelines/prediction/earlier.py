"""Answers of an earlier finished run, taken over for units that have not changed since.

A finished run notes the state of each unit that it has answered. Units with a reject, and those
whose files changed during the run, are left out: the next run reads them again.
"""

import json
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.ingest.files import storage
from components.ingest.files.encode import write_record
from components.ingest.files.layout import SUMMARY_FILE
from components.ingest.files.remote import remote_files, root_of
from components.raster.location import is_remote, local_path
from pipelines.prediction.output import PredictionPaths
from pipelines.prediction.table import escaped
from pipelines.prediction.units import unit_of

#: File in a finished run's folder with a line for each unit that may be taken over.
INPUTS_FILE = "inputs.jsonl"
#: Name before the suffix of the file with the answers that were taken over.
EARLIER = "predictions-earlier"


@dataclass(frozen=True)
class Earlier:
    """Answers of a finished run that another one takes over.

    Attributes:
        folder: folder of the earlier run.
        files: names of its predictions.
        units: names of those that have not changed.
    """

    folder: str
    files: tuple[str, ...]
    units: frozenset[str]

    def holds(self, key: str, *, is_tile: bool) -> bool:
        """Checks whether an answer belongs to one of the units."""
        return unit_of(key, is_tile=is_tile) in self.units


def newest_of(output: str, prefix: str) -> Iterator[str]:
    """Yields the folders of finished runs in an output that begin with a prefix, newest first."""
    root = root_of(output) if is_remote(output) else ""
    if root:
        files, path = remote_files(output.rstrip("/"))
        found = {
            f"{root}{name}".removesuffix(f"/{SUMMARY_FILE}"): it.changed.timestamp()
            for name, it in files.listing(path).items()
            if name.removeprefix(f"{path}/").startswith(prefix)
            and name.removeprefix(f"{path}/").partition("/")[2] == SUMMARY_FILE
        }
    else:
        folder = local_path(output)
        names = os.listdir(folder) if os.path.isdir(folder) else []
        paths = [os.path.join(folder, name) for name in names if name.startswith(prefix)]
        found = {
            path: os.stat(os.path.join(path, SUMMARY_FILE)).st_mtime
            for path in paths
            if os.path.exists(os.path.join(path, SUMMARY_FILE))
        }
    yield from sorted(found, key=lambda it: (found[it], it), reverse=True)


def earlier_of(
    folders: Iterable[str], basis: str, states: Mapping[str, str], *, are_maps: bool
) -> Earlier | None:
    """Finds the first finished run of the same basis, and the units that it has answered.

    Args:
        folders: folders of runs; unfinished runs, and those that lack a file by now, are skipped.
        basis: digest of the model and of the settings that an answer depends on.
        states: current state of each unit, by name.
        are_maps: each unit has a folder of its own.
    """
    for folder in folders:
        facts = _facts_of(folder)
        if facts is None or facts.get("basis") != basis:
            continue
        known, files = _read_inputs(folder), tuple(facts["files"])
        units = {it for it, state in states.items() if known.get(it) == state}
        if are_maps:
            units = {it for it in units if storage.exists(storage.join(folder, it))}
        if units and all(storage.exists(storage.join(folder, name)) for name in files):
            return Earlier(folder, files, frozenset(units))
    return None


def _facts_of(folder: str) -> dict[str, Any] | None:
    path = storage.join(folder, SUMMARY_FILE)
    if not storage.exists(path):
        return None
    facts: dict[str, Any] = json.loads(storage.read(path))
    return facts


def _read_inputs(folder: str) -> dict[str, str]:
    path = storage.join(folder, INPUTS_FILE)
    if not storage.exists(path):
        return {}
    return dict(json.loads(line) for line in storage.read(path).splitlines())


def write_inputs(path: str, states: Mapping[str, str], without: Collection[str]) -> None:
    """Writes the states of units by name, except those in `without`."""
    rows = (json.dumps(it) + "\n" for it in sorted(states.items()) if it[0] not in without)
    storage.write(path, "".join(rows).encode())


def refused_units(paths: PredictionPaths) -> set[str]:
    """Returns the keys of the rejects of a run's finished shards, and the scenes of tiles."""
    lines = [
        line
        for shard in range(paths.shards)
        for line in storage.read(paths.result(paths.rejects_name(shard))).splitlines()
    ]
    keys = {escaped(json.loads(line)["key"]) for line in lines}
    return keys | {unit_of(key, is_tile=True) for key in keys}


def take_rows(
    earlier: Earlier, paths: PredictionPaths, *, are_tiles: bool
) -> tuple[list[str], int]:
    """Copies the answers of unchanged units; returns the files' names and the number of answers."""
    name = f"{EARLIER}.{paths.suffix}"
    attempt = storage.join(paths.attempts, uuid.uuid4().hex)
    take = _take_examples if paths.suffix == "tfrecord" else _take_parquet
    with storage.create(attempt) as out:
        rows = take(earlier, out, are_tiles)
    if not rows:
        return [], 0
    storage.publish(attempt, paths.result(name))
    return [name], rows


def take_maps(earlier: Earlier, paths: PredictionPaths) -> int:
    """Copies the maps of unchanged scenes into the results; returns their number.

    Each appears there when it is complete, so that a run that continues finds it whole.
    """
    for unit in sorted(earlier.units):
        target = os.path.join(paths.results, unit)
        if not os.path.exists(target):
            attempt = os.path.join(paths.attempts, uuid.uuid4().hex)
            shutil.copytree(os.path.join(local_path(earlier.folder), unit), attempt)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.rename(attempt, target)
    return len(earlier.units)


def _take_parquet(earlier: Earlier, out: IO[bytes], are_tiles: bool) -> int:
    """Writes the rows of the units, as one file of many row groups."""
    rows, writer = 0, None
    for name in earlier.files:
        with storage.open_file(storage.join(earlier.folder, name)) as file:
            source = pq.ParquetFile(file)
            for batch in source.iter_batches():
                keys = batch.column("key").to_pylist()
                keep = [earlier.holds(key, is_tile=are_tiles) for key in keys]
                table = pa.Table.from_batches([batch], source.schema_arrow).filter(
                    pa.array(keep, pa.bool_())
                )
                if table.num_rows:
                    writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
                    writer.write_table(table)
                    rows += table.num_rows
    if writer is not None:
        writer.close()
    return rows


def _take_examples(earlier: Earlier, out: IO[bytes], are_tiles: bool) -> int:
    """Writes the records of the units."""
    import tensorflow as tf

    rows = 0
    for name in earlier.files:
        with storage.open_file(storage.join(earlier.folder, name)) as file:
            for record in _records_in(file):
                feature = tf.train.Example.FromString(record).features.feature["key"]
                if earlier.holds(feature.bytes_list.value[0].decode(), is_tile=are_tiles):
                    write_record(out, record)
                    rows += 1
    return rows


def _records_in(file: IO[bytes]) -> Iterator[bytes]:
    """Yields the records of a TFRecord, also in stores that TensorFlow cannot read."""
    while head := file.read(12):
        yield file.read(int.from_bytes(head[:8], "little"))
        file.read(4)
