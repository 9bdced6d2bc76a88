"""Statistics of rows with known contents."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv

Row = Mapping[str, str | int | float]


@pytest.fixture
def statistics_of(tmp_path: Path) -> Callable[[Sequence[Row]], Any]:
    """TFDV's own statistics of rows."""

    def compute(rows: Sequence[Row]) -> Any:
        path = tmp_path / "data.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in rows:
                writer.write(_example(row))
        return tfdv.generate_statistics_from_tfrecord(str(path))

    return compute


def _example(row: Row) -> bytes:
    message = tf.train.Example()
    for name, value in row.items():
        feature = message.features.feature[name]
        if isinstance(value, str):
            feature.bytes_list.value.append(value.encode())
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.float_list.value.append(value)
    serialized: bytes = message.SerializeToString()
    return serialized
