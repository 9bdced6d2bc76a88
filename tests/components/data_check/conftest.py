"""Splits with known contents, with the anomalies of TFDV's validator."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data_check.check import SplitData
from components.statistics.compute import in_memory

Row = Mapping[str, Any]
CLASSES = ("Forest", "River", "Sea")


@pytest.fixture
def rows() -> Callable[..., list[dict[str, Any]]]:
    """rows(count, seed, brightness=mean): examples as ingest writes them."""

    def make(count: int, seed: int = 0, brightness: float = 120.0) -> list[dict[str, Any]]:
        random = np.random.default_rng(seed)
        return [
            {
                "image/key": f"{CLASSES[index % 3]}/{index:04d}.jpg",
                "image/encoded": b"\xff\xd8",
                "image/brightness": float(np.clip(random.normal(brightness, 10), 0, 255)),
                "label": index % 3,
                "label/text": CLASSES[index % 3],
                "slice/region": f"r{index % 2}",
            }
            for index in range(count)
        ]

    return make


@pytest.fixture
def write_rows() -> Callable[[Path, Sequence[Row]], tuple[str, ...]]:
    """write_rows(folder, rows): one TFRecord file of tf.Examples."""

    def write(folder: Path, rows: Sequence[Row]) -> tuple[str, ...]:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "data-00000-of-00001.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in rows:
                writer.write(_example(row))
        return (str(path),)

    return write


@pytest.fixture
def statistics_of(tmp_path: Path, write_rows: Any) -> Callable[[Sequence[Row]], Any]:
    """Statistics of rows, without a split around them."""
    return lambda rows: in_memory(write_rows(tmp_path / "loose", rows))


@pytest.fixture
def split(tmp_path: Path, write_rows: Any) -> Callable[..., SplitData]:
    """split(name, rows, schema): the split as the nodes before DataCheck leave it."""

    def make(name: str, rows: Sequence[Row], schema: schema_pb2.Schema) -> SplitData:
        paths = write_rows(tmp_path / f"Split-{name}", rows)
        statistics = in_memory(paths)
        anomalies = tfdv.validate_statistics(statistics, schema)
        return SplitData(name, statistics, anomalies, paths)

    return make


def _example(row: Row) -> bytes:
    message = tf.train.Example()
    for name, value in row.items():
        feature = message.features.feature[name]
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, (str, bytes)):
                feature.bytes_list.value.append(one.encode() if isinstance(one, str) else one)
            elif isinstance(one, int):
                feature.int64_list.value.append(one)
            else:
                feature.float_list.value.append(one)
    serialized: bytes = message.SerializeToString()
    return serialized
