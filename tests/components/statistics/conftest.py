"""TFRecords with known contents."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import tensorflow as tf

Value = int | float | str | bytes | None | Sequence[int] | Sequence[float] | Sequence[str]
Row = Mapping[str, Value]
Write = Callable[[Path, Sequence[Row], int], tuple[str, ...]]


def example(row: Row) -> bytes:
    """A serialised tf.Example; None is a feature without a kind, a list has several values."""
    message = tf.train.Example()
    for name, value in row.items():
        feature = message.features.feature[name]
        if value is None:
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        if all(isinstance(v, (str, bytes)) for v in values):
            feature.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
        elif all(isinstance(v, int) for v in values):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    serialized: bytes = message.SerializeToString()
    return serialized


@pytest.fixture(scope="session")
def write_examples() -> Write:
    """write_examples(folder, rows, shards): the rows, dealt in turn to TFRecord files."""

    def write(folder: Path, rows: Sequence[Row], shards: int = 1) -> tuple[str, ...]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"data-{i:05d}-of-{shards:05d}.tfrecord" for i in range(shards)]
        for index, path in enumerate(paths):
            with tf.io.TFRecordWriter(str(path)) as writer:
                for row in rows[index::shards]:
                    writer.write(example(row))
        return tuple(map(str, paths))

    return write
