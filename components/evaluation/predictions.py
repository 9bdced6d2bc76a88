"""Predictions of an evaluation, one row for each example: the file `predictions.parquet`.

================================================  =================================================
column                                            meaning
================================================  =================================================
``key``                                           the example's key, as ingest writes it
``uri``                                           source of the image, where the example carries it
``group``                                         what shared the example's split: its group,
                                                  scene, or block of ground; null where the example
                                                  was drawn alone
``truth``, ``answer``                             a class; several, joined by ``; ``, with a
                                                  backslash before each ``;`` and backslash within a
                                                  name; a number as text. Empty for no class,
                                                  null for no truth, or no usable answer
``confidence``                                    of the answered class; the mean over pixels, or
                                                  over found objects
``score``                                         0 to 1: right or wrong for a class per image,
                                                  the Jaccard index for several, the mean IoU of the
                                                  classes that the image has, the F1 of objects;
                                                  null for numbers
``loss``                                          log loss (the mean over classes, where there are
                                                  several); absolute error of a number
``probabilities``                                 of the classes in the file's metadata, in order
``baseline_answer``, ``_confidence``,             as above, of the served version
``_score``, ``_loss``
``longitude``, ``latitude``                       of the centre, WGS 84 degrees
``slice:NAME``                                    values of a slice feature, joined like classes
``pixel_cells``, ``_counts``                      masks: occupied cells of the tally of pixels
                                                  (`components.raster.pixel_tally`), their counts
``level_cells``, ``_counts``                      masks: pixels by their probability of the classes
                                                  in `evaluation.decisions`; the cells are flat
                                                  indexes into class, whether it is true, and 256
                                                  levels of the probability
``given_classes``, ``found_classes``              boxes: indexes of the objects' and the detections'
                                                  classes; that after the last is an unknown one
``given_boxes``, ``found_boxes``                  top, left, bottom, right of one after the other,
                                                  in pixels of the model's image
``found_scores``                                  of the detections
================================================  =================================================

Rows are in the order of their keys. The metadata of the file's schema has the entry `skymill`: JSON
with the version of this format, the task, and the candidate's classes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from components.evaluation.tasks.base import Details, split_joined
from components.evaluation.tasks.registry import evaluated_task
from components.raster.batched import batched
from components.raster.errors import DataError
from components.raster.task import SINGLE_LABEL, TASKS, Task

_VERSION = 1
_METADATA = b"skymill"
_SLICE = "slice:"
_ROWS_A_GROUP = 512
_TYPES: Mapping[str, pa.DataType] = {
    "key": pa.string(),
    "uri": pa.string(),
    "group": pa.string(),
    "truth": pa.string(),
    "answer": pa.string(),
    "confidence": pa.float32(),
    "score": pa.float32(),
    "loss": pa.float32(),
    "probabilities": pa.list_(pa.float32()),
    "baseline_answer": pa.string(),
    "baseline_confidence": pa.float32(),
    "baseline_score": pa.float32(),
    "baseline_loss": pa.float32(),
    "longitude": pa.float64(),
    "latitude": pa.float64(),
}


@dataclass(frozen=True)
class PredictionRow:
    """One row: an example with the answers of the candidate and the served version.

    The fields are the columns. `slices` holds those of the slice features by name, `details` those
    that only masks or boxes have (None without truth).
    """

    key: str
    uri: str | None = None
    group: str | None = None
    truth: str | None = None
    answer: str | None = None
    confidence: float | None = None
    score: float | None = None
    loss: float | None = None
    probabilities: Sequence[float] | None = None
    baseline_answer: str | None = None
    baseline_confidence: float | None = None
    baseline_score: float | None = None
    baseline_loss: float | None = None
    longitude: float | None = None
    latitude: float | None = None
    slices: Mapping[str, str | None] = field(default_factory=dict)
    details: Details | None = None


_FIELDS = tuple(_TYPES)


@dataclass(frozen=True)
class Head:
    """Metadata shared by all rows of a file.

    Attributes:
        task: the task of the models.
        classes: the candidate's classes, in the order of `probabilities`.
        slice_features: names of the slice features.
    """

    task: Task
    classes: tuple[str, ...]
    slice_features: tuple[str, ...] = ()

    def names(self, text: str) -> tuple[str, ...]:
        """Returns the classes that a text of truth or answer names.

        >>> Head("multi_label", ("field", "road")).names("field; road")
        ('field', 'road')
        """
        if self.task == SINGLE_LABEL:
            return (text,)
        return split_joined(text)

    @cached_property
    def detail_columns(self) -> Mapping[str, pa.DataType]:
        """Columns that only this task has."""
        numbers = evaluated_task(self.task).detail_columns
        return {name: pa.list_(pa.from_numpy_dtype(it)) for name, it in numbers.items()}

    @cached_property
    def schema(self) -> pa.Schema:
        """The file's columns, with the metadata."""
        about = {"version": _VERSION, "task": self.task, "classes": list(self.classes)}
        slices = [(_SLICE + name, pa.string()) for name in self.slice_features]
        columns = [*_TYPES.items(), *self.detail_columns.items(), *slices]
        return pa.schema(columns, {_METADATA: json.dumps(about).encode()})


def write_predictions(file: Path | BinaryIO, head: Head, rows: Iterable[PredictionRow]) -> None:
    """Writes rows in the given order; holds a few hundred in memory."""
    with pq.ParquetWriter(file, head.schema, compression="zstd") as writer:
        for batch in batched(rows, _ROWS_A_GROUP):
            writer.write_batch(_batch(head, batch))


def _batch(head: Head, rows: Sequence[PredictionRow]) -> pa.RecordBatch:
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in _FIELDS}
    for name in head.detail_columns:
        columns[name] = [None if row.details is None else row.details[name] for row in rows]
    for name in head.slice_features:
        columns[_SLICE + name] = [row.slices.get(name) for row in rows]
    return pa.RecordBatch.from_pydict(columns, head.schema)


class PredictionTable:
    """An open file of predictions: its head, and its rows, which are read during iteration.

    >>> import io
    >>> file = io.BytesIO()
    >>> head = Head("single_label", ("Forest", "River"))
    >>> write_predictions(file, head, [PredictionRow("a.jpg", truth="River", answer="River")])
    >>> predictions = PredictionTable(file)
    >>> predictions.head.classes, [(row.key, row.answer) for row in predictions]
    (('Forest', 'River'), [('a.jpg', 'River')])
    """

    def __init__(self, file: Path | BinaryIO) -> None:
        """Opens a file; raises DataError if it is not one of predictions."""
        self._name = str(file) if isinstance(file, Path) else "the file of predictions"
        try:
            self._file = pq.ParquetFile(file)
        except FileNotFoundError:
            raise self._refused("there is no such file") from None
        except (pa.ArrowException, OSError) as error:
            raise self._refused(f"it is not a Parquet file ({error})") from error
        self.head = self._read_head()

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def __iter__(self) -> Iterator[PredictionRow]:
        return self._rows(_FIELDS, tuple(self.head.detail_columns))

    def without_details(self) -> Iterator[PredictionRow]:
        """Yields the rows without the details that only masks or boxes have."""
        return self._rows(_FIELDS)

    def without_probabilities(self) -> Iterator[PredictionRow]:
        """Yields the rows without probabilities and details, which take longest to read."""
        return self._rows([name for name in _FIELDS if name != "probabilities"])

    def _rows(self, columns: Sequence[str], details: Sequence[str] = ()) -> Iterator[PredictionRow]:
        slices = {_SLICE + name: name for name in self.head.slice_features}
        for batch in self._file.iter_batches(_ROWS_A_GROUP, columns=[*columns, *details, *slices]):
            for row in batch.to_pylist():
                known = bool(details) and row[details[0]] is not None
                yield PredictionRow(
                    **{name: row[name] for name in columns},
                    slices={name: row[column] for column, name in slices.items()},
                    details={name: row[name] for name in details} if known else None,
                )

    @property
    def numbers(self) -> int:
        """Count of the probabilities and details in all rows, which take most of the memory."""
        metadata, wanted = self._file.metadata, ("probabilities", *self.head.detail_columns)
        return sum(
            column.num_values
            for group in map(metadata.row_group, range(metadata.num_row_groups))
            for column in map(group.column, range(group.num_columns))
            if column.path_in_schema.partition(".")[0] in wanted
        )

    def columns(self, *names: str) -> pa.Table:
        """Returns some columns of all rows."""
        return self._file.read(list(names))

    def _read_head(self) -> Head:
        schema = self._file.schema_arrow
        try:
            about = json.loads((schema.metadata or {})[_METADATA])
            version, task, classes = about["version"], about["task"], tuple(about["classes"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._refused("its metadata lacks the entry of the Evaluation node") from error
        if version != _VERSION:
            raise self._refused(f"its format has version {version}, not {_VERSION}")
        if task not in TASKS:
            raise self._refused(f"its task {task!r} is not one of {', '.join(TASKS)}")
        slices = (name for name in schema.names if name.startswith(_SLICE))
        head = Head(task, classes, tuple(name.removeprefix(_SLICE) for name in slices))
        if not schema.equals(head.schema):
            raise self._refused(f"its columns are not those of its version {_VERSION}")
        return head

    def _refused(self, why: str) -> DataError:
        return DataError(
            f"{self._name} holds no predictions of an evaluation: {why}. Run the evaluation again "
            "with this version."
        )
