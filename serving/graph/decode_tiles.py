"""Decoding of a tile's payload to the model's input tensor, in stock TensorFlow ops.

The multiband counterpart of `serving.graph.decode`. `components.raster.payload` defines the format
and has the reference decoder, with which this one agrees.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from components.raster.band_scalings import BandScalings
from components.raster.image import PNG_MAGIC, ImageSpec, Refusal, Values
from components.raster.payload import (
    HEADER_BYTES,
    MAX_SIDE_PX,
    NAME_SEPARATOR,
    PAYLOAD_MAGIC,
    PNG_FORM,
    SAMPLE_TYPES,
    VALUES,
    VERSION,
)
from serving.graph.fitting import resample
from serving.graph.refusing import listed, require
from serving.graph.tile_scalings import learnt_scalings, require_scalings

# PNG signature, then length, type and fields of its first chunk, IHDR.
_PNG_START = PNG_MAGIC + b"\x00\x00\x00\x0dIHDR"
_PNG_HEAD_BYTES = len(_PNG_START) + 8 + len(PNG_FORM)
_MEANT: dict[Values, str] = {
    "stored": "the numbers that files store",
    "scaled": "values with scale and offset applied",
}
_OTHER: dict[Values, Values] = {"stored": "scaled", "scaled": "stored"}
_SAMPLE_BYTES = [tf.as_dtype(name).size for name in SAMPLE_TYPES]


class _Tile(NamedTuple):
    """Header fields of a tile; for a batch, each with a leading dimension N."""

    png: tf.Tensor
    names: tf.Tensor
    dtype: tf.Tensor  # position in SAMPLE_TYPES; int64, like all integers here
    masked: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    count: tf.Tensor


# AutoGraph would take seconds and find nothing to convert: the code builds the graph itself.
@tf.autograph.experimental.do_not_convert
def decode_tiles(
    encoded: tf.Tensor, spec: ImageSpec, scalings: BandScalings | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a batch of payloads, selects the model's bands by name, and fits them.

    Args:
        encoded: string [N].
        spec: with bands; their order is that of the channels.
        scalings: scale and offset of the stored numbers in training; tiles that state others are
            refused.

    Returns:
        float32 [N, H, W, C], stored numbers or scaled values according to `spec.values`, 0 where
        invalid; and bool [N, H, W]: valid where the payload's mask is true and every selected band
        finite. A tile of the model's shape keeps its values up to the precision of float32. Others
        are resampled over their valid pixels, and are valid where these have at least half of the
        weight.

    Raises:
        tf.errors.InvalidArgumentError: its message begins with a `Refusal`, or is TensorFlow's own
        for a corrupt payload.
    """
    height, width, bands = spec.shape
    learnt = None if scalings is None else learnt_scalings(spec, scalings)
    return tf.map_fn(
        lambda tile: fit_tile(*_decode(_Tile(*tile), spec, learnt), spec),
        tuple(_inspect(encoded, spec)),
        fn_output_signature=(
            tf.TensorSpec((height, width, bands), tf.float32),
            tf.TensorSpec((height, width), tf.bool),
        ),
    )


def fit_tile(pixels: tf.Tensor, valid: tf.Tensor, spec: ImageSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """Fits a tile to the model's shape; invalid pixels contribute no values.

    float32 [h, w, C] and bool [h, w] to [H, W, C] and [H, W], as `decode_tiles` returns them.
    """

    def resampled() -> tuple[tf.Tensor, tf.Tensor]:
        weight = tf.cast(valid, tf.float32)[:, :, tf.newaxis]
        both = resample(tf.concat([pixels, weight], axis=-1), spec)
        weight = both[:, :, -1]
        enough = weight >= 0.5
        safe = tf.where(enough, weight, 1.0)[:, :, tf.newaxis]
        return tf.where(enough[:, :, tf.newaxis], both[:, :, :-1] / safe, 0.0), enough

    same = tf.reduce_all(tf.shape(pixels)[:2] == (spec.height_px, spec.width_px))
    fitted, enough = tf.cond(same, lambda: (pixels, valid), resampled)
    return tf.ensure_shape(fitted, spec.shape), tf.ensure_shape(enough, spec.shape[:2])


def _inspect(encoded: tf.Tensor, spec: ImageSpec) -> _Tile:
    """Parses and validates the headers of a batch."""
    length, learnt = tf.cast(tf.strings.length(encoded), tf.int64), spec.values or "stored"
    head = tf.io.decode_raw(
        tf.strings.substr(encoded, 0, HEADER_BYTES), tf.uint8, fixed_length=HEADER_BYTES
    )
    head = tf.cast(head, tf.int64)
    version, dtype, masked, values = (head[:, at] for at in range(4, 8))
    height, width, count, names_bytes = tf.unstack(_integers(head[:, 8:]), axis=1)
    known = tf.equal(tf.strings.substr(encoded, 0, len(PAYLOAD_MAGIC)), PAYLOAD_MAGIC)
    long, short = length > spec.max_bytes, length < HEADER_BYTES
    # A graph runs its checks in any order, so no payload may fail two of them.
    known_form = ~long & known & ~short & (version == VERSION)
    data_at = HEADER_BYTES + names_bytes
    sound = (dtype < len(SAMPLE_TYPES)) & (masked <= 1) & (values < len(VALUES)) & (count > 0)
    sound &= (height > 0) & (width > 0) & (data_at + _PNG_HEAD_BYTES <= length)
    sample_bytes = tf.gather(_SAMPLE_BYTES, tf.minimum(dtype, len(SAMPLE_TYPES) - 1))
    # Products of three 32-bit sizes overflow 64 bits; a double is exact enough.
    sides = [tf.cast(it, tf.float64) for it in (height, width, count)]
    planes = sides[2] * tf.cast(sample_bytes, tf.float64) + tf.cast(masked, tf.float64)
    few = sides[0] * sides[1] * sides[2] <= spec.max_pixels
    few &= (sides[0] * planes <= MAX_SIDE_PX) & (width <= MAX_SIDE_PX)
    checks = [
        require(~long, Refusal.TOO_MANY_BYTES, f"the limit is {spec.max_bytes}"),
        require(
            long | (length == 0) | (known & short) | known_form,
            Refusal.UNSUPPORTED_FORMAT,
            f"the model takes payloads of tiles with the bands {', '.join(spec.bands or ())}, "
            "and these bytes are not one",
        ),
        require(
            long | ~((length == 0) | (known & short)),
            Refusal.CORRUPT,
            "the payload ends within its header",
        ),
        require(~known_form | sound, Refusal.CORRUPT, "the payload's header contradicts itself"),
        require(
            ~known_form | ~sound | few,
            Refusal.TOO_MANY_PIXELS,
            f"the header declares more than {spec.max_pixels} samples, or more than "
            f"{MAX_SIDE_PX} rows in all planes, or columns",
        ),
        require(
            ~known_form | ~sound | ~few | (values == VALUES.index(learnt)),
            Refusal.WRONG_VALUES,
            f"the model learnt {_MEANT[learnt]}, the tile has {_MEANT[_OTHER[learnt]]}",
        ),
    ]
    with tf.control_dependencies(checks):
        names = tf.strings.substr(
            encoded, tf.fill(tf.shape(names_bytes), np.int64(HEADER_BYTES)), names_bytes
        )
        png = tf.strings.substr(encoded, data_at, length - data_at)
        return _Tile(png, names, dtype, masked, height, width, count)


def _decode(
    tile: _Tile, spec: ImageSpec, learnt: Sequence[str] | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the model's bands of one tile at its own size: float32 [h, w, C] and bool [h, w]."""
    chosen = _chosen(tile, spec)
    if learnt is not None:
        same = require_scalings(tile.png, tile.count, chosen, spec.bands or (), learnt)
        with tf.control_dependencies(same):
            chosen = tf.identity(chosen)
    sizes = tf.gather(tf.constant(_SAMPLE_BYTES, tf.int64), tile.dtype)
    rows = tile.height * (sizes * tile.count + tile.masked)
    with tf.control_dependencies([_require_png(tile, rows)]):
        planes = tf.io.decode_png(tile.png, channels=1)[:, :, 0]
    depth = tile.height * sizes * tile.count
    by_byte = tf.reshape(planes[:depth], (sizes, tile.count, tile.height, tile.width))
    by_byte = tf.gather(by_byte, chosen, axis=1)
    pixels = tf.switch_case(
        tf.cast(tile.dtype, tf.int32), [_as_floats(name, by_byte) for name in SAMPLE_TYPES]
    )
    valid = tf.reduce_all(tf.math.is_finite(pixels), axis=-1)
    valid &= tf.cond(tile.masked > 0, lambda: planes[depth:] > 0, lambda: tf.ones_like(valid))
    return tf.where(valid[:, :, tf.newaxis], pixels, 0.0), valid


def _chosen(tile: _Tile, spec: ImageSpec) -> tf.Tensor:
    """Returns the positions of the model's bands among the tile's: int32 [C]."""
    have = tf.strings.split(tile.names, NAME_SEPARATOR)
    wanted = tf.constant([band.encode() for band in spec.bands or ()])
    equal = have[tf.newaxis] == wanted[:, tf.newaxis]
    missing = tf.boolean_mask(wanted, ~tf.reduce_any(equal, axis=1))
    counted = tf.size(have, tf.int64) == tile.count
    detail = tf.strings.join(["the model needs ", listed(missing), ", the tile has ", listed(have)])
    checks = [
        require(counted, Refusal.CORRUPT, "the payload has not as many names as bands"),
        require((tf.size(missing) == 0) | ~counted, Refusal.WRONG_BANDS, detail),
    ]
    with tf.control_dependencies(checks):
        return tf.argmax(equal, axis=1, output_type=tf.int32)


def _require_png(tile: _Tile, rows: tf.Tensor) -> tf.Operation:
    """Fails unless the PNG's form and size are the header's, which bounds the decoded size."""
    head = tf.io.decode_raw(
        tf.strings.substr(tile.png, 0, _PNG_HEAD_BYTES), tf.uint8, fixed_length=_PNG_HEAD_BYTES
    )
    at = len(_PNG_START)
    sides = _integers(tf.cast(tf.reverse(head[at : at + 8], [0]), tf.int64)[tf.newaxis])[0]
    same = tf.reduce_all(head[:at] == tf.constant(list(_PNG_START), tf.uint8))
    same &= tf.reduce_all(head[at + 8 :] == tf.constant(list(PNG_FORM), tf.uint8))
    same &= (sides[0] == rows) & (sides[1] == tile.width)
    return require(same, Refusal.CORRUPT, "the PNG is not the one that the header declares")


def _as_floats(name: str, by_byte: tf.Tensor) -> Callable[[], tf.Tensor]:
    """Returns a function that converts sample bytes [S, C, h, w] to float32 [h, w, C]."""
    dtype = tf.as_dtype(name)

    def convert() -> tf.Tensor:
        if dtype.size == 1:
            samples = tf.bitcast(by_byte[0], dtype)
        else:
            in_samples = tf.transpose(by_byte, (1, 2, 3, 0))
            samples = tf.bitcast(tf.ensure_shape(in_samples, (None, None, None, dtype.size)), dtype)
        return tf.transpose(tf.cast(samples, tf.float32), (1, 2, 0))

    return convert


def _integers(parts: tf.Tensor) -> tf.Tensor:
    """Decodes little-endian integers of four bytes: int64 [N, 4 K] to int64 [N, K]."""
    groups = tf.reshape(parts, (-1, parts.shape[1] // 4, 4))
    return tf.reduce_sum(groups * (1, 2**8, 2**16, 2**24), axis=2)
