"""Refusals of inputs in a graph: errors whose message begins with a `Refusal`."""

from typing import Any

import tensorflow as tf

from components.raster.image import Refusal

_MESSAGE_BYTES = 400
_NOT_FINITE = (
    "the network computes NaN or infinity; look for extreme numbers in the image, such as nodata "
    "that the file does not declare"
)


def listed(names: tf.Tensor) -> tf.Tensor:
    """Joins strings [N] of any bytes into one printable line: string []."""
    line = tf.strings.reduce_join(names, separator=", ")
    head = tf.strings.substr(line, 0, _MESSAGE_BYTES)
    return tf.strings.unicode_transcode(head, "UTF-8", "UTF-8", replace_control_characters=True)


def require(condition: tf.Tensor, refusal: str, detail: str | tf.Tensor) -> tf.Operation:
    """Fails with `refusal: detail` unless all elements of the condition are true.

    The refusal is a `Refusal` if the decoder refuses an image.
    """
    message = (
        tf.strings.join([f"{refusal}: ", detail])
        if tf.is_tensor(detail)
        else (f"{refusal}: {detail}")
    )
    return tf.debugging.Assert(tf.reduce_all(condition), [message])


def require_finite(outputs: Any) -> Any:
    """Returns a network's outputs; fails with `not_finite` if a number is NaN or infinite.

    Such outputs, due to numbers that overflow in the network, would otherwise look like a regular
    answer, such as the first class.
    """
    numbers = [it for it in tf.nest.flatten(outputs) if it.dtype.is_floating]
    finite = [require(tf.math.is_finite(it), Refusal.NOT_FINITE, _NOT_FINITE) for it in numbers]
    with tf.control_dependencies(finite):
        return tf.nest.map_structure(tf.identity, outputs)
