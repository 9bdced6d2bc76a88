"""Check in a graph that a payload's scale and offset are those of training."""

from collections.abc import Sequence

import tensorflow as tf

from components.raster.band_scalings import BandScalings
from components.raster.image import ImageSpec, Refusal
from components.raster.payload import NAME_SEPARATOR, SCALINGS_MAGIC
from components.raster.scaling import UNSCALED
from serving.graph.refusing import listed, require

_LENGTH_BYTES = 4
_TAIL_BYTES = _LENGTH_BYTES + len(SCALINGS_MAGIC)


def learnt_scalings(spec: ImageSpec, scalings: BandScalings) -> tuple[str, ...]:
    """Returns scale and offset of the model's bands, in its order, in the payload's form."""
    return tuple(scalings.get(band, UNSCALED).terse for band in spec.bands or ())


def require_scalings(
    png: tf.Tensor,
    count: tf.Tensor,
    chosen: tf.Tensor,
    bands: Sequence[str],
    learnt: Sequence[str],
) -> list[tf.Operation]:
    """Fails if a payload states another scale or offset than in training.

    A payload that states none is accepted.

    Args:
        png: string [], the payload from its PNG on.
        count: int64 [], number of its bands.
        chosen: int32 [C], positions of the model's bands among them.
        bands: names of the model's bands.
        learnt: scale and offset of these C bands, from `learnt_scalings`.
    """
    magic_bytes = len(SCALINGS_MAGIC)
    stated = tf.equal(tf.strings.substr(png, -magic_bytes, magic_bytes), SCALINGS_MAGIC)
    sizes = tf.io.decode_raw(
        tf.strings.substr(png, -_TAIL_BYTES, _LENGTH_BYTES), tf.uint8, fixed_length=_LENGTH_BYTES
    )
    size = tf.reduce_sum(tf.cast(sizes, tf.int64) * (1, 2**8, 2**16, 2**24))
    end = tf.cast(tf.strings.length(png), tf.int64) - _TAIL_BYTES
    size = tf.where(stated & (size <= end), size, -1)
    text = tf.strings.substr(png, end - tf.maximum(size, 0), tf.maximum(size, 0))
    lines = tf.strings.split(text, NAME_SEPARATOR)
    sound = (size >= 0) & (tf.size(lines, tf.int64) == count)
    wanted = tf.constant(learnt)
    own = tf.cond(sound, lambda: tf.gather(lines, chosen), lambda: wanted)
    model = f"scale and offset of {', '.join(bands)} were {', '.join(learnt)} in training"
    detail = tf.strings.join([f"{model}, and are ", listed(own), " here"])
    return [
        require(~stated | sound, Refusal.CORRUPT, "the payload has not as many scales as bands"),
        require(tf.reduce_all(own == wanted), Refusal.WRONG_VALUES, detail),
    ]
