"""Warm-up requests in TensorFlow Serving's own form."""

from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.graph.warmup import WARMUP_PATH, write_warmup
from serving.store.digest import model_digest


def requests(model_dir: Path) -> list[prediction_log_pb2.PredictionLog]:
    records = tf.data.TFRecordDataset(str(model_dir / WARMUP_PATH)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def test_each_request_asks_about_one_image_as_a_user_has_it(tmp_path: Path) -> None:
    assert write_warmup(tmp_path, [b"first", b"second"]) == 2
    first, second = (log.predict_log.request for log in requests(tmp_path))
    assert first.model_spec.signature_name == "serving_default"
    assert tf.make_ndarray(first.inputs["image_bytes"]).tolist() == [b"first"]
    assert tf.make_ndarray(second.inputs["image_bytes"]).tolist() == [b"second"]


@pytest.mark.parametrize(
    ("limits", "written"),
    [({"max_requests": 2}, 2), ({"max_bytes": 3000}, 2), ({"max_bytes": 10}, 0), ({}, 4)],
)
def test_the_file_is_bounded(tmp_path: Path, limits: dict[str, int], written: int) -> None:
    write_warmup(tmp_path, [b"old"])
    images = [bytes(1000)] * 4
    assert write_warmup(tmp_path, images, **limits) == written
    assert (tmp_path / WARMUP_PATH).exists() is (written > 0)


def test_a_large_image_is_left_out_and_the_next_one_taken(tmp_path: Path) -> None:
    assert write_warmup(tmp_path, [bytes(5000), b"small"], max_bytes=1000) == 1


def test_the_digest_is_of_what_is_served(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "variables").mkdir(parents=True)
        (tmp_path / name / "saved_model.pb").write_bytes(b"graph")
        (tmp_path / name / "variables" / "data").write_bytes(b"weights")
    assert model_digest(tmp_path / "one") == model_digest(tmp_path / "two")
    (tmp_path / "two" / "provenance").mkdir()
    (tmp_path / "two" / "provenance" / "run.json").write_bytes(b"{}")
    assert model_digest(tmp_path / "one") == model_digest(tmp_path / "two")
    (tmp_path / "two" / "variables" / "data").write_bytes(b"Weights")
    assert model_digest(tmp_path / "one") != model_digest(tmp_path / "two")
    (tmp_path / "two" / "variables" / "data").rename(tmp_path / "two" / "data")
    assert model_digest(tmp_path / "one") != model_digest(tmp_path / "two")
