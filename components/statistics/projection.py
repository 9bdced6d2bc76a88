"""Conversion of serialized examples to Arrow, without the image bytes."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.raster.errors import DataError
from components.raster.example import UNCOUNTED

PAYLOAD_SUFFIX = "/encoded"

#: Few enough that the records of small images and their parsed copy stay in the processor's cache.
_PARSED_AT_ONCE = 200

_TYPE_OF_KIND = {
    "bytes_list": schema_pb2.BYTES,
    "int64_list": schema_pb2.INT,
    "float_list": schema_pb2.FLOAT,
}


def is_counted(name: str, exclude: Iterable[str] = ()) -> bool:
    """Checks that statistics include a feature: not a payload, not a key, not excluded."""
    return not (name in UNCOUNTED or name.endswith(PAYLOAD_SUFFIX) or name in exclude)


def decode(records: Sequence[bytes], exclude: Iterable[str] = ()) -> pa.RecordBatch:
    """Decodes serialized tf.Examples to a column for every counted feature, sorted by name.

    This batch's own schema selects the columns, so excluded bytes never become Arrow and a feature
    of a single example is still counted. Raises DataError when a record is not a tf.Example, or a
    feature has two types.
    """
    try:
        schema = _schema(records, tuple(exclude))
        if not schema.feature:
            return _no_columns(len(records))
        return ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(records)
    except Exception as error:
        raise DataError(
            f"a batch of {len(records)} records is not tf.Examples with one type a feature: "
            f"{error}; ingest the data again"
        ) from error


def _schema(records: Sequence[bytes], exclude: tuple[str, ...]) -> schema_pb2.Schema:
    kinds = _kinds(records)
    schema = schema_pb2.Schema()
    for name in sorted(name for name in kinds if is_counted(name, exclude)):
        kind = kinds[name] or _first_kind(records, name)
        if kind:
            schema.feature.add(name=name, type=_TYPE_OF_KIND[kind])
    return schema


def _kinds(records: Sequence[bytes]) -> dict[str, str | None]:
    """Returns every feature in any of the records, with the kind in the last records that have it.

    Concatenated messages parse as one whose maps are merged (protobuf encoding: "Last One Wins"),
    so one parse names the features of many records.
    """
    kinds: dict[str, str | None] = {}
    for start in range(0, len(records), _PARSED_AT_ONCE):
        some = b"".join(records[start : start + _PARSED_AT_ONCE])
        merged = tf.train.Example.FromString(some).features.feature
        kinds |= {name: merged[name].WhichOneof("kind") for name in list(merged)}
    return kinds


def _first_kind(records: Sequence[bytes], name: str) -> str | None:
    for record in records:
        features = tf.train.Example.FromString(record).features.feature
        kind: str | None = features[name].WhichOneof("kind") if name in features else None
        if kind:
            return kind
    return None


def _no_columns(rows: int) -> pa.RecordBatch:
    """Returns a batch without columns that keeps its number of rows."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, type=pa.struct([])))
