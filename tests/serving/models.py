"""Small SavedModels with known answers, for the tests of serving and for its benchmark."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

CLASSES = ("blue", "green", "red")


def jpeg(rgb: tuple[int, int, int], size_px: int = 32) -> bytes:
    """A JPEG of one colour."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((size_px, size_px, 3), rgb, np.uint8)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


BLUE, GREEN, RED = jpeg((0, 0, 255)), jpeg((0, 255, 0)), jpeg((255, 0, 0))


class ColourModel(tf.Module):
    """Classifies an image by its strongest channel, in the form of the served contract."""

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        self.bias = tf.Variable([bias, 0.0, 0.0], dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def classify(self, image_bytes: Any) -> dict[str, Any]:
        """Blue, green or red."""
        means = tf.map_fn(_mean_bgr, image_bytes, fn_output_signature=tf.float32)
        probabilities = tf.nn.softmax(means * 4.0 + self.bias)
        names = tf.constant(CLASSES)
        return {
            "class": tf.gather(names, tf.argmax(probabilities, axis=1)),
            "probabilities": probabilities,
            "classes": tf.tile(names[None], [tf.shape(probabilities)[0], 1]),
        }


def _mean_bgr(encoded: Any) -> Any:
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.reduce_mean(tf.cast(image, tf.float32) / 255.0, axis=(0, 1))[::-1]


class NumbersModel(tf.Module):
    """Signatures of several inputs, types and shapes."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, "a"),
            tf.TensorSpec([None], tf.int64, "b"),
        ],
        autograph=False,
    )
    def combine(self, a: Any, b: Any) -> dict[str, Any]:
        """Two inputs, and an output that is bytes by its name."""
        return {
            "sum": tf.reduce_sum(a, axis=1) + tf.cast(b, tf.float32),
            "raw_bytes": tf.map_fn(
                lambda n: tf.io.encode_base64(tf.strings.as_string(n)),
                b,
                fn_output_signature=tf.string,
            ),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def double(self, x: Any) -> dict[str, Any]:
        """One input, one output."""
        return {"y": x * 2.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def total(self, x: Any) -> dict[str, Any]:
        """An output without rows, so that requests must not share a batch."""
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def unknown(self, x: Any) -> dict[str, Any]:
        """An output that has rows by its shape, but not one for each of the input's."""
        return {"head": tf.boolean_mask(x, x > 0.0)}


def save_colours(path: Path, bias: float = 0.0) -> Path:
    """Write a ColourModel as a SavedModel."""
    model = ColourModel(bias)
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.classify})
    return path


def save_numbers(path: Path) -> Path:
    """Write a NumbersModel as a SavedModel."""
    model = NumbersModel()
    signatures = {
        "serving_default": model.double,
        "combine": model.combine,
        "total": model.total,
        "unknown": model.unknown,
    }
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path


class SlowModel(tf.Module):
    """Keeps a core busy for a minute, in the form of the served contract."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def classify(self, image_bytes: Any) -> dict[str, Any]:
        """Always blue, a minute later."""
        spent = tf.while_loop(
            lambda turn, value: turn < 10_000_000,
            lambda turn, value: (turn + 1, tf.sin(value)),
            (tf.constant(0), tf.constant(0.5)),
        )
        rows = tf.shape(image_bytes)[0]
        probabilities = tf.tile([[1.0, 0.0, 0.0]], [rows, 1]) + 0.0 * spent[1]
        names = tf.constant(CLASSES)
        return {
            "class": tf.gather(names, tf.argmax(probabilities, axis=1)),
            "probabilities": probabilities,
            "classes": tf.tile(names[None], [rows, 1]),
        }


def save_slow(path: Path) -> Path:
    """Write a SlowModel as a SavedModel."""
    model = SlowModel()
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.classify})
    return path
