"""Columns of the counted features of serialized examples, without the images."""

from collections.abc import Container, Iterator, Sequence

import pyarrow as pa
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.raster.errors import DataError
from components.raster.example import UNCOUNTED
from components.statistics.records import chunks

PAYLOAD_SUFFIX = "/encoded"

_BATCH_RECORDS = 10_000
_BATCH_BYTES = 32 * 1024**2  # of columns


def is_counted(name: str, exclude: Container[str] = ()) -> bool:
    """Checks that statistics include a feature: not a payload, not a key, not excluded."""
    return not (name in UNCOUNTED or name.endswith(PAYLOAD_SUFFIX) or name in exclude)


def counted_columns(path: str, exclude: Container[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yields a file's counted features in batches, with a column for each, sorted by name.

    Records are decoded a few at a time, and the columns of images are dropped at once. A batch has
    a column for each feature of any of its records, with the feature's type.

    Raises:
        DataError: a record is not a tf.Example, or a feature has two types.
    """
    decoder = ExamplesToRecordBatchDecoder()  # infers a type for each feature
    parts: list[pa.RecordBatch] = []
    for records in chunks(path):
        try:
            decoded = decoder.DecodeBatch(records)
        except Exception as error:
            raise _not_examples(len(records), error) from error
        parts.append(decoded.select([it for it in decoded.schema.names if is_counted(it, exclude)]))
        if _is_full(parts):
            yield _joined(parts)
            parts = []
    if parts:
        yield _joined(parts)


def _is_full(parts: Sequence[pa.RecordBatch]) -> bool:
    rows = sum(part.num_rows for part in parts)
    return rows >= _BATCH_RECORDS or sum(part.nbytes for part in parts) >= _BATCH_BYTES


def _joined(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Joins rows; a row has no value in a column that its part lacks or in which it has none."""
    rows = sum(part.num_rows for part in parts)
    try:
        tables = [pa.Table.from_batches([part]) for part in parts]
        table = pa.concat_tables(tables, promote_options="default")
    except pa.ArrowException as error:
        raise _not_examples(rows, error) from error
    names = sorted(it.name for it in table.schema if not pa.types.is_null(it.type))
    if not names:
        return _no_columns(rows)
    (batch,) = table.select(names).combine_chunks().to_batches()
    return batch


def _no_columns(rows: int) -> pa.RecordBatch:
    """Returns a batch without columns that keeps its number of rows."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, type=pa.struct([])))


def _not_examples(rows: int, error: Exception) -> DataError:
    return DataError(
        f"a batch of {rows} records is not tf.Examples with one type per feature: {error}; "
        "ingest the data again"
    )
