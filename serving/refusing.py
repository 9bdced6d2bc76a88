"""How a graph refuses an input: with an error whose message begins with a `Refusal`."""

import tensorflow as tf

from components.raster.image import Refusal


def require(condition: tf.Tensor, refusal: Refusal, detail: str | tf.Tensor) -> tf.Operation:
    """Fails with `refusal: detail` unless all of the condition holds."""
    message = (
        tf.strings.join([f"{refusal}: ", detail])
        if tf.is_tensor(detail)
        else (f"{refusal}: {detail}")
    )
    return tf.debugging.Assert(tf.reduce_all(condition), [message])
