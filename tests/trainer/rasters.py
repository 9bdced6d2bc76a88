"""A toy set of four-band tiles on disk, in the form of the example spec."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.payload import encode_payload

BANDS = ("blue", "green", "red", "nir")
CLASSES = ("water", "forest")
COUNTS = {"train": 32, "eval": 11, "test": 8}
SIDE_PX = 16
SPEC = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX, bands=BANDS)


def toy_tile(label, random):
    """Returns uint16 (H, W, 4) that differs only in near infrared, and a mask of valid pixels."""
    pixels = random.normal((900, 800, 600, 700), 90, (SIDE_PX, SIDE_PX, 4))
    pixels[..., 3] += 2500 * label
    valid = np.ones((SIDE_PX, SIDE_PX), bool)
    valid[: random.integers(0, SIDE_PX // 2)] = False
    pixels[~valid] = 65535  # no data, which would swamp the statistics
    return pixels.astype(np.uint16), valid


def toy_example(pixels, valid, label, bands=BANDS):
    """A serialized example, with the statistics of each band over valid pixels."""
    height, width, _ = pixels.shape
    chosen = pixels[valid].astype(np.float64)
    features = {
        "image/encoded": [encode_payload(pixels, bands, valid)],
        "image/format": [b"tile"],
        "image/height": [height],
        "image/width": [width],
        "image/valid_fraction": [float(valid.mean())],
        "label": [label],
        "label/text": [CLASSES[label].encode()],
    }
    for index, band in enumerate(bands):
        features[f"image/mean_{band}"] = [float(chosen[:, index].mean())]
        features[f"image/stddev_{band}"] = [float(chosen[:, index].std())]
    return serialized(features)


def serialized(features):
    """A tf.Example of lists of bytes, integers or floats."""
    kinds = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
    example = tf.train.Example()
    for name, values in features.items():
        getattr(example.features.feature[name], kinds[type(values[0])]).value.extend(values)
    return example.SerializeToString()


def write_records(path: Path, examples) -> str:
    """A TFRecord file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example)
    return str(path)


def write_tiles(root: Path) -> dict[str, list]:
    """Writes an Examples artifact's folder; returns the (pixels, valid, label) of each split."""
    random = np.random.default_rng(5)
    written = {}
    for split, count in COUNTS.items():
        labels = [number % 2 for number in range(count)]
        tiles = [(*toy_tile(label, random), label) for label in labels]
        path = root / f"Split-{split}" / "data-00000-of-00001.tfrecord"
        write_records(path, [toy_example(*tile) for tile in tiles])
        written[split] = tiles
    (root / "classes.json").write_text(json.dumps(CLASSES))
    return written
