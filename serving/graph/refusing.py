"""Refusals of inputs in a graph: errors whose message begins with a `Refusal`."""

import tensorflow as tf

_MESSAGE_BYTES = 400


def listed(names: tf.Tensor) -> tf.Tensor:
    """Joins strings [N] into one printable line, whatever bytes they hold: string []."""
    line = tf.strings.reduce_join(names, separator=", ")
    head = tf.strings.substr(line, 0, _MESSAGE_BYTES)
    return tf.strings.unicode_transcode(head, "UTF-8", "UTF-8", replace_control_characters=True)


def require(condition: tf.Tensor, refusal: str, detail: str | tf.Tensor) -> tf.Operation:
    """Fails with `refusal: detail` unless all elements of the condition are true.

    The refusal is a `Refusal` where the decoder refuses an image.
    """
    message = (
        tf.strings.join([f"{refusal}: ", detail])
        if tf.is_tensor(detail)
        else (f"{refusal}: {detail}")
    )
    return tf.debugging.Assert(tf.reduce_all(condition), [message])
