"""Formats of a tile's payload: sizes and speeds in one run.

    python -m benchmarks payload [--tiles FOLDER] [--rounds 3]

Every format is lossless and can be decoded by TensorFlow's own ops. The tiles are synthetic (4
bands, uint16, 256 x 256), or every GeoTIFF of uint16 below a folder, all of one shape. Rounds
alternate and the best of each counts; 100 % is the size of the raw samples.
"""

import argparse
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import rasterio
import tensorflow as tf

from benchmarks.made_scene import make_scene
from components.raster.image import ImageSpec
from components.raster.payload import encode_payload
from serving.graph.decode_tiles import decode_tiles

Samples = npt.NDArray[np.uint16]
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Form:
    """A format of tiles: encodes one, and decodes a batch in a graph to float32 [N, H, W, C]."""

    encode: Callable[[Samples], bytes]
    decode: Callable[[tf.Tensor], tf.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    tiles = stored(args.tiles) if args.tiles else made()
    megabytes = sum(tile.nbytes for tile in tiles) / 1e6
    print(f"{len(tiles)} tiles of {tiles[0].shape}, uint16, {megabytes:.0f} MB")
    found = forms(tiles[0].shape)
    best = {name: [np.inf, np.inf] for name in found}
    sizes = {}
    for _ in range(args.rounds):
        for name, form in found.items():
            encoded, encode_s = timed(partial(_encoded, form, tiles))
            batch = tf.constant(encoded)
            decode = tf.function(form.decode, autograph=False)
            decoded = decode(batch).numpy()
            _, decode_s = timed(partial(_decoded, decode, batch))
            assert all(map(np.array_equal, decoded, tiles)), name
            best[name] = [min(best[name][0], encode_s), min(best[name][1], decode_s)]
            sizes[name] = sum(map(len, encoded)) / 1e6
    print(f"{'form':>24} {'size':>6} {'encode MB/s':>12} {'decode MB/s':>12}")
    for name, (encode_s, decode_s) in best.items():
        size = f"{100 * sizes[name] / megabytes:.0f} %"
        speeds = f"{megabytes / encode_s:12.0f} {megabytes / decode_s:12.0f}"
        print(f"{name:>24} {size:>6} {speeds}")


def forms(shape: tuple[int, ...]) -> dict[str, Form]:
    """Returns the payload format and its alternatives."""
    height, width, count = shape
    bands = tuple(f"B{number}" for number in range(1, count + 1))
    spec = ImageSpec(height_px=height, width_px=width, bands=bands)

    def floats(little: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.reshape(little, (-1, *shape)), tf.float32)

    def unzipped(encoded: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_raw(tf.io.decode_compressed(encoded, "ZLIB"), tf.uint16)

    def deltas(tile: Samples) -> bytes:
        planes = np.ascontiguousarray(tile.transpose(2, 0, 1))
        planes[:, :, 1:] -= planes[:, :, :-1].copy()
        return np.ascontiguousarray(planes.reshape(-1, 1).view(np.uint8).T).tobytes()

    def from_deltas(encoded: tf.Tensor) -> tf.Tensor:
        low_high = tf.io.decode_raw(tf.io.decode_compressed(encoded, "ZLIB"), tf.uint8)
        samples = tf.bitcast(
            tf.transpose(tf.reshape(low_high, (-1, 2, count * height * width)), (0, 2, 1)),
            tf.uint16,
        )
        planes = tf.cumsum(tf.reshape(samples, (-1, count, height, width)), axis=3)
        return tf.cast(tf.transpose(planes, (0, 2, 3, 1)), tf.float32)

    def png16(tile: Samples) -> bytes:
        rows = np.ascontiguousarray(tile.transpose(2, 0, 1)).reshape(-1, width, 1)
        return bytes(tf.io.encode_png(rows, compression=1).numpy())

    def from_png16(encoded: tf.Tensor) -> tf.Tensor:
        def one(png: tf.Tensor) -> tf.Tensor:
            rows = tf.io.decode_png(png, channels=1, dtype=tf.uint16)
            planes = tf.reshape(rows, (count, height, width))
            return tf.cast(tf.transpose(planes, (1, 2, 0)), tf.float32)

        return tf.map_fn(one, encoded, fn_output_signature=tf.float32)

    return {
        "payload (planes in PNG)": Form(
            lambda tile: encode_payload(tile, bands), lambda batch: decode_tiles(batch, spec)[0]
        ),
        "raw": Form(
            lambda tile: tile.tobytes(), lambda batch: floats(tf.io.decode_raw(batch, tf.uint16))
        ),
        "zlib 1": Form(
            lambda tile: zlib.compress(tile.tobytes(), 1), lambda batch: floats(unzipped(batch))
        ),
        "deltas, planes, zlib 1": Form(lambda tile: zlib.compress(deltas(tile), 1), from_deltas),
        "16-bit PNG": Form(png16, from_png16),
    }


def made() -> list[Samples]:
    """Returns 256 x 256 tiles of a synthetic scene."""
    with TemporaryDirectory() as folder:
        make_scene(path := Path(folder) / "scene.tif", 1536)
        with rasterio.open(path) as dataset:
            scene = dataset.read().transpose(1, 2, 0)
    starts = range(0, 1536, 256)
    return [scene[row : row + 256, col : col + 256].copy() for row in starts for col in starts]


def stored(folder: Path) -> list[Samples]:
    """Returns the GeoTIFFs below a folder."""
    tiles = []
    for path in sorted(folder.rglob("*.tif")):
        with rasterio.open(path) as dataset:
            tiles.append(np.ascontiguousarray(dataset.read().transpose(1, 2, 0)))
    return tiles


def timed(call: Callable[[], Outcome]) -> tuple[Outcome, float]:
    """Runs a call and returns its outcome and seconds."""
    start = time.perf_counter()
    outcome = call()
    return outcome, time.perf_counter() - start


def _encoded(form: Form, tiles: list[Samples]) -> list[bytes]:
    return [form.encode(tile) for tile in tiles]


def _decoded(decode: Callable[[tf.Tensor], tf.Tensor], batch: tf.Tensor) -> object:
    return decode(batch).numpy()
