"""Statistics of rows with known contents."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.statistics.compute import in_memory

Row = Mapping[str, Any]


@pytest.fixture
def statistics_of(tmp_path: Path) -> Callable[[Sequence[Row]], Any]:
    """Statistics of rows; the tests of components.statistics prove them to be TFDV's."""

    def compute(rows: Sequence[Row]) -> Any:
        path = tmp_path / "data.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in rows:
                writer.write(_example(row))
        return in_memory([str(path)])

    return compute


def _example(row: Row) -> bytes:
    message = tf.train.Example()
    for name, value in row.items():
        feature = message.features.feature[name]
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                feature.bytes_list.value.append(one.encode())
            elif isinstance(one, int):
                feature.int64_list.value.append(one)
            else:
                feature.float_list.value.append(one)
    serialized: bytes = message.SerializeToString()
    return serialized
