"""Served signatures: from a user's input to the outputs of the task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from components.raster.example import ENCODED
from serving.contract.contract import Contract
from serving.contract.names import (
    BYTES_INPUT,
    BYTES_SIGNATURE,
    CONTRACT_INPUT,
    CONTRACT_OUTPUT,
    CONTRACT_SIGNATURE,
    EXAMPLES_INPUT,
    EXAMPLES_SIGNATURE,
)
from serving.graph.inputs import model_input
from serving.tasks.graph import Tensors, served_outputs


@dataclass(frozen=True)
class Signature:
    """Function of one string tensor [N], with the name and spec of that tensor."""

    name: str
    function: Callable[[tf.Tensor], Tensors]
    input: tf.TensorSpec


def signatures(model: Callable[[tf.Tensor], Any], contract: Contract) -> tuple[Signature, ...]:
    """Returns the signatures over a model from pixels [N, H, W, C] (`serving.graph.inputs`).

    Two signatures return the outputs of the contract's task; `serving.tasks` defines these and the
    model outputs that they need. The third returns the contract's JSON for any input.
    """

    images = tf.TensorSpec([None], tf.string, BYTES_INPUT)

    @tf.function(input_signature=[images], autograph=False)  # traced once for both signatures
    def from_bytes(image_bytes: tf.Tensor) -> Tensors:
        pixels = model_input(image_bytes, contract.image, contract.band_scalings)
        return served_outputs(model(pixels), pixels, contract)

    def from_examples(examples: tf.Tensor) -> Tensors:
        spec = {ENCODED: tf.io.FixedLenFeature([], tf.string)}
        answers: Tensors = from_bytes(tf.io.parse_example(examples, spec)[ENCODED])
        return answers

    text = contract.to_json()

    def of_contract(request: tf.Tensor) -> Tensors:
        return {CONTRACT_OUTPUT: tf.fill(tf.shape(request), text)}

    return (
        Signature(BYTES_SIGNATURE, from_bytes, images),
        Signature(
            EXAMPLES_SIGNATURE, from_examples, tf.TensorSpec([None], tf.string, EXAMPLES_INPUT)
        ),
        Signature(
            CONTRACT_SIGNATURE, of_contract, tf.TensorSpec([None], tf.string, CONTRACT_INPUT)
        ),
    )
