"""Small SavedModels of every task with the served contract, whose answers follow from the pixels.

With the gray of a pixel or of the whole image from 0 to 1, plus the model's `shift`:

- multi_label: class k of K is present where the image is brighter than (k + 1) / (K + 1).
- regression: ten times the gray.
- segmentation: class k of K where a pixel is in the k-th part of the range; no data where it is 0.
- detection: one box around all pixels from a half on, of the class of the brightest of them among
  the parts of the upper half, with the score 0.9; none where all are darker.
"""

import functools
import io
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from components.raster.image import ImageSpec
from components.raster.task import Task
from serving.contract.contract import Contract
from serving.graph.fitting import resample
from tests.components.models import save_signatures, write_contract

MOST_BOXES = 4


class PixelModel(tf.Module):
    """Model of one task, as described in the module's docstring."""

    def __init__(self, task: Task, classes: Sequence[str], shift: float, image: ImageSpec) -> None:
        super().__init__()
        self.task, self.image = task, image
        self.count = len(classes)
        self.shift = tf.Variable(shift, dtype=tf.float32)
        self.names = tf.constant(list(classes), tf.string)

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")], autograph=False
    )
    def from_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        gray = tf.map_fn(self._gray, image_bytes, fn_output_signature=tf.float32)
        answer = getattr(self, f"_{self.task}")(gray)
        if self.count:
            answer["classes"] = tf.tile(self.names[None, :], [tf.shape(gray)[0], 1])
        return answer

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False
    )
    def from_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
        return self.from_bytes(tf.io.parse_example(examples, spec)["image/encoded"])

    def _gray(self, encoded: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_image(encoded, channels=1, expand_animations=False)
        fitted = resample(tf.cast(pixels, tf.float32), self.image)[..., 0] / 255.0
        return tf.ensure_shape(fitted, self.image.shape[:2])

    def _multi_label(self, gray: tf.Tensor) -> dict[str, tf.Tensor]:
        edges = (tf.range(self.count, dtype=tf.float32) + 1) / (self.count + 1)
        mean = tf.reduce_mean(gray, axis=(1, 2)) + self.shift
        probabilities = tf.sigmoid(40.0 * (mean[:, None] - edges[None, :]))
        return {"probabilities": probabilities, "present": probabilities >= 0.5}

    def _regression(self, gray: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"value": 10.0 * (tf.reduce_mean(gray, axis=(1, 2)) + self.shift)}

    def _segmentation(self, gray: tf.Tensor) -> dict[str, tf.Tensor]:
        part = tf.cast((gray + self.shift) * self.count, tf.int32)
        classes = tf.cast(tf.clip_by_value(part, 0, self.count - 1), tf.uint8)
        raster = tf.where(gray > 0, classes, tf.constant(255, tf.uint8))
        return {"class_raster": raster, "confidence": tf.fill(tf.shape(gray), 0.75)}

    def _detection(self, gray: tf.Tensor) -> dict[str, tf.Tensor]:
        boxes, labels = tf.map_fn(self._one_box, gray, fn_output_signature=(tf.float32, tf.int32))
        found = labels >= 0
        return {
            "boxes": boxes,
            "box_labels": labels,
            "box_classes": tf.where(found, tf.gather(self.names, tf.maximum(labels, 0)), ""),
            "box_scores": tf.where(found, 0.9, 0.0),
        }

    def _one_box(self, gray: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        places = tf.cast(tf.where(gray + self.shift >= 0.5), tf.float32)
        near, far = tf.reduce_min(places, axis=0), tf.reduce_max(places, axis=0) + 1
        part = tf.cast((tf.reduce_max(gray + self.shift) - 0.5) * 2 * self.count, tf.int32)
        label = tf.where(tf.shape(places)[0] > 0, tf.clip_by_value(part, 0, self.count - 1), -1)
        box = tf.where(label >= 0, tf.concat([near, far], 0), tf.zeros(4))
        padding = [[0, MOST_BOXES - 1]]
        return (
            tf.pad(box[None], [*padding, [0, 0]]),
            tf.pad(label[None], padding, constant_values=-1),
        )


def save_task_model(
    path: Path,
    task: Task,
    classes: Sequence[str] = (),
    shift: float = 0.0,
    image: ImageSpec | None = None,
) -> Path:
    """Exports a PixelModel with its contract into `path`."""
    saved = _saved(task, tuple(classes), shift, image or ImageSpec(height_px=16, width_px=16))
    shutil.copytree(saved, path, dirs_exist_ok=True)
    return path


@functools.cache
def _saved(task: Task, classes: tuple[str, ...], shift: float, image: ImageSpec) -> Path:
    """Traces and saves a model once for all tests of this process."""
    path = Path(tempfile.mkdtemp(prefix="pixels-"))
    save_signatures(PixelModel(task, classes, shift, image), path)
    write_contract(path, Contract(task=task, image=image, classes=classes))
    return path


def png(pixels: np.ndarray) -> bytes:
    """A gray PNG of uint8 [H, W]."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
