"""From the encoded images of a batch to the tensor that a model takes, at the pace of training.

What is decoded is `serving.graph.decode`'s business, and every pixel here is the one that it gives.
But a served model must take any bytes in any number, and looks at each file by itself, which costs
more than decoding a small JPEG. Examples have been judged by ingest and come in batches of one
size: of such that are all plain, the files are decoded side by side without a further question.
"""

import tensorflow as tf

from components.raster.image import ImageSpec
from serving.graph.decode import decode_jpeg
from serving.graph.fitting import resample
from serving.graph.inputs import model_input

# A JPEG whose first segment is JFIF without a thumbnail (JFIF 1.02) and whose second one holds
# quantization tables. EXIF would have to come first to be seen, so that such a file is upright.
_JFIF, _JFIF_AT = b"\xff\xd8\xff\xe0\x00\x10", 0
_TABLES, _TABLES_AT = b"\xff\xdb", 20
_HEAD_BYTES = _TABLES_AT + len(_TABLES)
#: Files of a batch for which the graph has an operation each; larger batches come in parts.
_AT_ONCE = 64
#: Images of another size than the model's are resized together up to so many pixels a batch.
_MOST_PIXELS = 2**23


@tf.autograph.experimental.do_not_convert
def batch_pixels(
    encoded: tf.Tensor, height: tf.Tensor, width: tf.Tensor, image: ImageSpec, batch_size: int
) -> tf.Tensor:
    """What `serving.graph.inputs.model_input` gives, string [N] to [N, H, W, C].

    Args:
        encoded: files that ingest accepted under this spec.
        height: int64 [N], as the examples tell it; what cannot be is another file's way, not wrong.
        width: likewise.
        image: the model's.
        batch_size: N at most; a smaller batch costs as much.

    Raises:
        tf.errors.InvalidArgumentError: as `model_input` does.
    """
    if image.bands is not None:
        return model_input(encoded, image)
    plain = _all_plain(encoded, height, width, image, batch_size)
    pixels = tf.cond(
        plain,
        lambda: _side_by_side(encoded, image, batch_size),
        lambda: model_input(encoded, image),
    )
    return tf.ensure_shape(pixels, (encoded.shape[0], *image.shape))


def _all_plain(
    encoded: tf.Tensor, height: tf.Tensor, width: tf.Tensor, image: ImageSpec, batch_size: int
) -> tf.Tensor:
    """bool []: whether all are plain upright JPEGs of one size, and not too large together."""
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
    """An operation for each file, which run beside one another; a loop would pay for each turn."""
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
