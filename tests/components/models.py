"""Small SavedModels with the served contract, and examples for them, for the nodes' tests.

A model uses the mean brightness of the image (8-bit, all bands): class k of K is likelier the
nearer the mean is to the middle of its K-th part of the range. Its answers are therefore known.
"""

import functools
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from components.raster.image import ImageSpec
from serving.contract.contract import Contract
from serving.graph.signatures import Reliable, signatures


class BrightnessModel(tf.Module):
    """Classes by brightness; `sharpness` scales the logits, `shift` is added to the brightness.

    An image brighter than `brightest` raises an error.
    """

    def __init__(
        self,
        classes: Sequence[str],
        sharpness: float = 20.0,
        shift: float = 0.0,
        nan: bool = False,
        brightest: float = 1.0,
    ) -> None:
        super().__init__()
        self.brightest = brightest
        self.centres = tf.Variable(centres(len(classes)) + shift, dtype=tf.float32)
        self.names = tf.constant(list(classes))
        self.sharpness = float("nan") if nan else sharpness

    def answer(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        mean = tf.map_fn(_mean, encoded, fn_output_signature=tf.float32)
        tf.debugging.assert_less_equal(mean, self.brightest, "too bright")
        logits = -self.sharpness * tf.abs(mean[:, None] - self.centres[None, :])
        probabilities = tf.nn.softmax(logits)
        rows = tf.shape(encoded)[0]
        return {
            "class": tf.gather(self.names, tf.argmax(probabilities, axis=1)),
            "probabilities": probabilities,
            "classes": tf.tile(self.names[None, :], [rows, 1]),
        }

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")], autograph=False
    )
    def from_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(image_bytes)

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False
    )
    def from_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
        return self.answer(tf.io.parse_example(examples, spec)["image/encoded"])


def _mean(encoded: tf.Tensor) -> tf.Tensor:
    pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.reduce_mean(tf.cast(pixels, tf.float32)) / 255.0


def centres(count: int) -> np.ndarray:
    """Returns the brightness, 0 to 1, of each of `count` classes."""
    return (np.arange(count) + 0.5) / count


def save_model(
    path: Path,
    classes: Sequence[str],
    sharpness: float = 20.0,
    shift: float = 0.0,
    nan: bool = False,
    brightest: float = 1.0,
) -> Path:
    """Exports a BrightnessModel with its contract into `path`."""
    saved = _saved(tuple(classes), sharpness, shift, nan, brightest)
    shutil.copytree(saved, path, dirs_exist_ok=True)
    return path


@functools.cache
def _saved(
    classes: tuple[str, ...], sharpness: float, shift: float, nan: bool, brightest: float
) -> Path:
    """Traces and saves a model once for all tests of this process."""
    path = Path(tempfile.mkdtemp(prefix="brightness-"))
    model = BrightnessModel(classes, sharpness, shift, nan, brightest)
    save_signatures(model, path)
    write_contract(path, Contract(image=ImageSpec(height_px=8, width_px=8), classes=classes))
    return path


def save_signatures(model: Any, path: Path) -> None:
    """Export a model that answers `from_bytes` and `from_examples`."""
    signatures = {"serving_default": model.from_bytes, "serving_examples": model.from_examples}
    tf.saved_model.save(model, str(path), signatures=signatures)


def write_contract(path: Path, contract: Contract) -> None:
    """Put a contract beside the SavedModel in `path`."""
    extra = path / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "contract.json").write_text(contract.to_json())


def save_with_signatures(
    module: tf.Module, contract: Contract, path: Path, reliable: Reliable | None = None
) -> None:
    """Write a module, whose call gives logits, with the served signatures and the contract."""
    found = signatures(module, contract, reliable=reliable)
    module.calls = [tf.function(it.function, it.inputs, autograph=False) for it in found]
    named = {it.name: call for it, call in zip(found, module.calls, strict=True)}
    tf.saved_model.save(module, str(path), signatures=named)
    write_contract(path, contract)


def image_bytes(brightness: float, size_px: int = 8) -> bytes:
    """A PNG of one gray of `brightness` 0 to 1."""
    pixels = np.full((size_px, size_px, 3), round(brightness * 255), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def example(
    brightness: float, label: str, slices: Mapping[str, str | float] | None = None
) -> bytes:
    """Returns a serialized tf.Example with the features that the nodes read."""
    features = {
        "image/encoded": image_bytes(brightness),
        "image/format": b"png",
        "image/key": f"{label}-{brightness:.2f}".encode(),
        "image/brightness": brightness * 255,
        "label/text": label.encode(),
    }
    return serialized(features | slice_features(slices or {}))


def slice_features(slices: Mapping[str, str | float]) -> dict[str, bytes | float]:
    """The features that carry slices."""
    return {
        f"slice/{name}": value.encode() if isinstance(value, str) else value
        for name, value in slices.items()
    }


def serialized(features: Mapping[str, bytes | float | int | list[Any]]) -> bytes:
    """A tf.Example of features by name: bytes, numbers, or lists of one of them."""
    made = {name: _feature(value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def write_split(examples_dir: Path, split: str, examples: Sequence[bytes], shards: int = 2) -> None:
    """Write `Split-<split>/` of an Examples artifact."""
    folder = examples_dir / f"Split-{split}"
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        name = folder / f"data-{shard:05d}-of-{shards:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(name)) as writer:
            for item in examples[shard::shards]:
                writer.write(item)


def _feature(value: bytes | float | int | list[Any]) -> tf.train.Feature:
    values = value if isinstance(value, list) else [value]
    if all(isinstance(it, bytes) for it in values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if all(isinstance(it, int) for it in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
