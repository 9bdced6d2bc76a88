"""The bytes, read back by protobuf and by TensorFlow."""

import io

import numpy as np
import pytest
import tensorflow as tf

from components.ingest.files.encode import example_bytes, write_record
from components.ingest.records.outcome import Accepted
from components.ingest.records.record import Record
from components.raster.features import ImageFeatures

FEATURES = ImageFeatures((1.5, 2.5, 3.5), (0.25, 0.5, 0.75), 127.125, 9.0625)
CLASSES = {"forêt": 0, "river": 300, "sea": 2}


def encoded(record, data=b"\xff\xd8 any bytes", features=FEATURES):
    image = Accepted("jpeg", 64, 70_000, 3, None)
    return example_bytes(record, data, "ab" * 32, image, features, CLASSES)


def parsed(payload):
    features = tf.train.Example.FromString(payload).features.feature
    found = {}
    for name, feature in features.items():
        kind = feature.WhichOneof("kind")
        found[name] = (kind, list(getattr(feature, kind).value))
    return found


def test_an_example_holds_the_whole_spec():
    record = Record("river/a.jpg", "/x/river/a.jpg", "river", slices={"year": -5, "gsd": 0.5})
    assert parsed(encoded(record)) == {
        "image/encoded": ("bytes_list", [b"\xff\xd8 any bytes"]),
        "image/format": ("bytes_list", [b"jpeg"]),
        "image/height": ("int64_list", [64]),
        "image/width": ("int64_list", [70_000]),
        "image/channels": ("int64_list", [3]),
        "image/sha256": ("bytes_list", [b"ab" * 32]),
        "image/key": ("bytes_list", [b"river/a.jpg"]),
        "label": ("int64_list", [300]),
        "label/text": ("bytes_list", [b"river"]),
        "image/brightness": ("float_list", [127.125]),
        "image/sharpness": ("float_list", [9.0625]),
        "image/mean_0": ("float_list", [1.5]),
        "image/mean_1": ("float_list", [2.5]),
        "image/mean_2": ("float_list", [3.5]),
        "image/stddev_0": ("float_list", [0.25]),
        "image/stddev_1": ("float_list", [0.5]),
        "image/stddev_2": ("float_list", [0.75]),
        "slice/year": ("int64_list", [-5]),
        "slice/gsd": ("float_list", [0.5]),
    }


def test_several_labels_and_text_beyond_ascii():
    record = Record("k", "/k", labels=("forêt", "river"), slices={"région": "Île"})
    found = parsed(encoded(record, features=None))
    assert found["labels"] == ("int64_list", [0, 300])
    assert found["labels/text"] == ("bytes_list", ["forêt".encode(), b"river"])
    assert found["slice/région"] == ("bytes_list", ["Île".encode()])
    assert "label" not in found
    assert "image/brightness" not in found


def test_equal_numbers_of_two_kinds_keep_their_kinds():
    for value, kind in ((1, "int64_list"), (1.0, "float_list"), (1, "int64_list")):
        assert parsed(encoded(Record("k", "/k", "sea", slices={"s": value})))["slice/s"][0] == kind


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
def test_any_length(size):
    data = np.random.default_rng(size).bytes(size)
    assert parsed(encoded(Record("k", "/k", "sea"), data))["image/encoded"][1] == [data]


def test_the_parser_of_tensorflow_takes_it():
    spec = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/sharpness": tf.io.FixedLenFeature([], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    example = tf.io.parse_example([encoded(Record("k", "/k", "river"))], spec)
    assert example["label"].numpy().tolist() == [300]
    assert example["image/sharpness"].numpy().tolist() == [9.0625]


def test_records_are_what_tensorflow_writes(tmp_path):
    payloads = [b"", b"x", np.random.default_rng(1).bytes(100_000)]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for payload in payloads:
            writer.write(payload)
    ours = io.BytesIO()
    for payload in payloads:
        write_record(ours, payload)
    assert ours.getvalue() == (tmp_path / "theirs").read_bytes()
