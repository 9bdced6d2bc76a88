"""Fast decoding of training batches: from encoded images to the tensor that a model takes.

Every pixel equals the one that `serving.graph.decode` returns. A served model must accept any bytes
in any number and inspects each file by itself, which costs more than decoding a small JPEG. Ingest
has validated the examples, and training batches have one size: a batch of plain files only is
decoded in parallel without further checks.
"""

from collections.abc import Callable
from functools import lru_cache

import tensorflow as tf

from components.raster.image import ImageSpec
from serving.graph.decode import decode_jpeg
from serving.graph.fitting import resample
from serving.graph.inputs import model_input

# A JPEG whose first segment is JFIF without a thumbnail (JFIF 1.02) and whose second one holds
# quantization tables. EXIF is only read from the first segment, so such a file is upright.
_JFIF, _JFIF_AT = b"\xff\xd8\xff\xe0\x00\x10", 0
_TABLES, _TABLES_AT = b"\xff\xdb", 20
_HEAD_BYTES = _TABLES_AT + len(_TABLES)
#: Files of a batch for which the graph has an operation each; larger batches are split.
_AT_ONCE = 64
#: Images of another size than the model's are resized together up to this number of pixels a batch.
_MOST_PIXELS = 2**23


#: Graphs that are kept; a training needs one for each size of its batches.
_GRAPHS = 8


def batch_pixels(
    encoded: tf.Tensor, height: tf.Tensor, width: tf.Tensor, image: ImageSpec, batch_size: int
) -> tf.Tensor:
    """Decodes files, string [N], to [N, H, W, C], as `serving.graph.inputs.model_input` does.

    Args:
        encoded: files that ingest accepted under this spec.
        height: int64 [N] of the examples; an impossible height selects the slower path, no error.
        width: likewise.
        image: the model's spec.
        batch_size: upper bound of N; a smaller batch costs as much.

    Raises:
        tf.errors.InvalidArgumentError: as `model_input` does.
    """
    pixels = _graph(image, batch_size)(encoded, height, width)
    return tf.ensure_shape(pixels, (encoded.shape[0], *image.shape))


@lru_cache(maxsize=_GRAPHS)
def _graph(image: ImageSpec, batch_size: int) -> Callable[..., tf.Tensor]:
    """Returns `batch_pixels` as a graph that is traced once, however many data sets decode."""
    columns = (tf.TensorSpec([None], kind) for kind in (tf.string, tf.int64, tf.int64))

    @tf.function(input_signature=tuple(columns), autograph=False)
    def pixels(encoded: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        if image.bands is not None:
            return model_input(encoded, image)
        return tf.cond(
            _all_plain(encoded, height, width, image, batch_size),
            lambda: _side_by_side(encoded, image, batch_size),
            lambda: model_input(encoded, image),
        )

    return pixels


def _all_plain(
    encoded: tf.Tensor, height: tf.Tensor, width: tf.Tensor, image: ImageSpec, batch_size: int
) -> tf.Tensor:
    """Returns bool []: whether all are plain upright JPEGs of one size, within the pixel limits."""
    head = tf.strings.substr(encoded, 0, _HEAD_BYTES)
    head = tf.io.decode_raw(head, tf.uint8, fixed_length=_HEAD_BYTES)
    jfif, tables = (
        tf.reduce_all(head[:, at : at + len(mark)] == tuple(mark))
        for mark, at in ((_JFIF, _JFIF_AT), (_TABLES, _TABLES_AT))
    )
    pixels = height[:1] * width[:1]
    one_size = tf.reduce_all(height == height[:1]) & tf.reduce_all(width == width[:1])
    few = tf.reduce_all((pixels <= image.max_pixels) & (pixels * batch_size <= _MOST_PIXELS))
    short = tf.reduce_all(tf.strings.length(encoded) <= image.max_bytes)
    return jfif & tables & one_size & few & short & (tf.size(encoded) > 0)


def _side_by_side(encoded: tf.Tensor, image: ImageSpec, batch_size: int) -> tf.Tensor:
    """Decodes each file by an operation of its own, run in parallel; a loop would add overhead."""
    count, rows = tf.shape(encoded)[0], min(batch_size, _AT_ONCE)
    parts = -(-batch_size // rows)
    filled = tf.concat([encoded, tf.repeat(encoded[:1], parts * rows - count)], axis=0)

    def decoded(files: tf.Tensor) -> tf.Tensor:
        return tf.stack([decode_jpeg(file) for file in tf.unstack(files)])

    spec = tf.TensorSpec((rows, None, None, 3), tf.uint8)
    pixels = (
        decoded(tf.ensure_shape(filled, (rows,)))
        if parts == 1
        else tf.map_fn(decoded, tf.reshape(filled, (parts, rows)), fn_output_signature=spec)
    )
    pixels = tf.reshape(pixels, tf.concat([[-1], tf.shape(pixels)[-3:]], axis=0))[:count]
    same = tf.reduce_all(tf.shape(pixels)[1:3] == image.shape[:2])
    return tf.cond(
        same,
        lambda: tf.ensure_shape(pixels, (None, *image.shape)),
        lambda: tf.ensure_shape(
            tf.saturate_cast(tf.round(resample(pixels, image)), tf.uint8), (None, *image.shape)
        ),
    )
