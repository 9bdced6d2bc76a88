"""The served signatures: from what a user has to class, probabilities and names."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from components.raster.example import ENCODED
from serving.contract import Contract
from serving.inputs import model_input
from serving.names import (
    BYTES_INPUT,
    BYTES_SIGNATURE,
    CLASS_OUTPUT,
    CLASSES_OUTPUT,
    EXAMPLES_INPUT,
    EXAMPLES_SIGNATURE,
    PROBABILITIES_OUTPUT,
)

Answer = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Signature:
    """A function of one string tensor [N], and the name and spec of that tensor."""

    name: str
    function: Callable[[tf.Tensor], Answer]
    input: tf.TensorSpec


def signatures(
    model: Callable[[tf.Tensor], tf.Tensor], contract: Contract
) -> tuple[Signature, ...]:
    """The two signatures over a model from pixels [N, H, W, C] (`serving.inputs`) to logits [N, K].

    Both answer `class` string [N], `probabilities` float32 [N, K], and `classes` string [N, K],
    the names of the probabilities, the same in each row.
    """

    images = tf.TensorSpec([None], tf.string, BYTES_INPUT)

    @tf.function(input_signature=[images], autograph=False)  # traced once for both signatures
    def from_bytes(image_bytes: tf.Tensor) -> Answer:
        return answer(model(model_input(image_bytes, contract.image)), contract.classes)

    def from_examples(examples: tf.Tensor) -> Answer:
        spec = {ENCODED: tf.io.FixedLenFeature([], tf.string)}
        answers: Answer = from_bytes(tf.io.parse_example(examples, spec)[ENCODED])
        return answers

    return (
        Signature(BYTES_SIGNATURE, from_bytes, images),
        Signature(
            EXAMPLES_SIGNATURE, from_examples, tf.TensorSpec([None], tf.string, EXAMPLES_INPUT)
        ),
    )


def answer(logits: tf.Tensor, classes: tuple[str, ...]) -> Answer:
    """Logits [N, K] as what a user reads."""
    names = tf.constant(classes, tf.string)
    return {
        CLASS_OUTPUT: tf.gather(names, tf.argmax(logits, axis=1)),
        PROBABILITIES_OUTPUT: tf.nn.softmax(tf.cast(logits, tf.float32)),
        CLASSES_OUTPUT: tf.tile(names[tf.newaxis], (tf.shape(logits)[0], 1)),
    }
