"""A toy data set on disk: two classes that a tiny model can separate."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.raster.image import ImageSpec

CLASSES = ("water", "forest")
COUNTS = {"train": 32, "eval": 11, "test": 8}
SIDE_PX = 16


def toy_image(label: int, random: np.random.Generator) -> bytes:
    """A noisy PNG: bluish for 0, greenish for 1."""
    pixels = random.integers(0, 120, (SIDE_PX, SIDE_PX, 3))
    pixels[..., 2 - label] += 100
    return bytes(tf.io.encode_png(pixels.astype(np.uint8)).numpy())


def toy_example(encoded: bytes, label: int, name: str) -> tf.train.Example:
    """The features that training and evaluation read."""
    features = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "label/text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[name.encode()])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def write_examples(root: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """An Examples artifact's folder, two files a split."""
    random = np.random.default_rng(3)
    for split, count in COUNTS.items():
        folder = root / f"Split-{split}"
        folder.mkdir(parents=True)
        for part in range(2):
            path = folder / f"data-{part:05d}-of-00002.tfrecord"
            with tf.io.TFRecordWriter(str(path)) as writer:
                for number in range(part, count, 2):
                    label = number // 2 % len(classes)
                    example = toy_example(toy_image(label, random), label, classes[label])
                    writer.write(example.SerializeToString())
    (root / "classes.json").write_text(json.dumps(classes))
    return root


@pytest.fixture(scope="session")
def examples_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy Examples artifact."""
    return write_examples(tmp_path_factory.mktemp("toy") / "examples")


@pytest.fixture(scope="session")
def pattern(examples_root: Path) -> Callable[[str], str]:
    """The file pattern of a split, as TFX gives it."""
    return lambda split: str(examples_root / f"Split-{split}" / "*")


@pytest.fixture(scope="session")
def image_spec() -> ImageSpec:
    """The size of the toy images."""
    return ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX)
