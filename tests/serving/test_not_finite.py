"""Numbers that a network cannot hold: a refusal by name, never the first class."""

import numpy as np
import pytest
import tensorflow as tf

from components.ingest.photographs.validate import refused_by
from components.mapping.config import MapConfig
from components.mapping.in_process import InProcessModel
from components.mapping.maps import map_scene
from components.raster.errors import DataError
from components.raster.payload import encode_payload
from components.raster.reasons import Reason
from pipelines.prediction.model import ExampleModel
from serving.server.pushed import load_pushed
from tests.components.mapping.networks import contract_of, smooth_ground, write_scene
from tests.components.models import save_with_signatures

SIDE_PX = 32


class Overflows(tf.Module):
    """Logits of three classes: finite up to numbers of about 1e30, infinite above."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task
        self.gain = tf.Variable(1e8)

    def __call__(self, pixels: tf.Tensor) -> tf.Tensor:
        logits = tf.where(tf.math.is_finite(pixels), pixels, 0.0) * self.gain * [1.0, -1.0, 0.5]
        return logits if self.task == "segmentation" else tf.reduce_mean(logits, axis=(1, 2))


def tile(value: float) -> bytes:
    pixels = np.full((SIDE_PX, SIDE_PX, 1), value, np.float32)
    return encode_payload(pixels, ("gray",))


def example(image: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    features = tf.train.Features(feature={"image/encoded": feature})
    return bytes(tf.train.Example(features=features).SerializeToString())


@pytest.fixture(scope="module")
def model_of(tmp_path_factory):
    def make(task):
        folder = tmp_path_factory.mktemp(task) / "1"
        save_with_signatures(Overflows(task), contract_of(size_px=SIDE_PX, task=task), folder)
        return folder

    return make


def test_one_such_image_is_refused_and_the_others_of_its_batch_are_answered(model_of):
    model = ExampleModel(load_pushed(model_of("single_label")))
    found = model.answer([example(tile(value)) for value in (2.0, 3e38, 5.0)])
    assert found.accepted.tolist() == [0, 2]
    assert found.outputs["class"].tolist() == [b"low", b"low"]
    assert found.refused[1].reason is Reason.NOT_FINITE
    assert "nodata that the file does not declare" in found.refused[1].detail


def test_no_map_is_made_of_them(model_of, tmp_path):
    model = InProcessModel(model_of("segmentation"))
    pixels = smooth_ground(100, 100).astype(np.float32)
    config = MapConfig(vectors=())
    map_scene(write_scene(tmp_path / "good.tif", pixels), model, config, tmp_path / "maps")
    pixels[70, 40] = 3e38
    source = write_scene(tmp_path / "extreme.tif", pixels)
    with pytest.raises(DataError, match="not_finite"):
        map_scene(source, model, config, tmp_path / "maps")


def test_the_planes_of_a_server_refuse_them_too(model_of):
    calls = tf.saved_model.load(str(model_of("segmentation"))).signatures
    calls["serving_planes"](image_bytes=tf.constant([tile(2.0)]))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        calls["serving_planes"](image_bytes=tf.constant([tile(3e38)]))
    assert refused_by(str(caught.value)).reason is Reason.NOT_FINITE
