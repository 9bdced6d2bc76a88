"""Served signatures, from a user's input to the outputs of the task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from components.raster.example import ENCODED
from serving.contract.contract import Contract
from serving.contract.explanations import Explanations
from serving.contract.names import (
    BYTES_INPUT,
    BYTES_SIGNATURE,
    CONTRACT_INPUT,
    CONTRACT_OUTPUT,
    CONTRACT_SIGNATURE,
    EMBEDDING_OUTPUT,
    EMBEDDING_SIGNATURE,
    EXAMPLES_INPUT,
    EXAMPLES_SIGNATURE,
    EXPLAIN_SIGNATURE,
    OUTPUTS_OUTPUT,
    PIXELS_INPUT,
    PIXELS_SIGNATURE,
    PLANES_SIGNATURE,
    TARGET_INPUT,
)
from serving.contract.reliability import UnknownScore
from serving.graph.explain import Explainable, explain
from serving.graph.inputs import fit_pixels, model_input
from serving.graph.refusing import require_finite
from serving.graph.reliability import reliability
from serving.tasks.graph import Tensors, task_graph


@dataclass(frozen=True)
class Signature:
    """Function of tensors of N rows, with their names and specs."""

    name: str
    function: Callable[..., Tensors]
    inputs: tuple[tf.TensorSpec, ...]


@dataclass(frozen=True, eq=False)
class Reliable:
    """A model that also returns the sources of its answers' reliability.

    Attributes:
        model: function from pixels [N, H, W, C] to the model's outputs and, by name, the
            `embedding` [N, D] and the `disagreement` [N] of an ensemble's members.
        unknown: constants of the score of unknown imagery; None: answers do not have it.
    """

    model: Callable[[tf.Tensor], Any]
    unknown: UnknownScore | None


def signatures(
    model: Callable[[tf.Tensor], Any],
    contract: Contract,
    explainable: Explainable | None = None,
    reliable: Reliable | None = None,
) -> tuple[Signature, ...]:
    """Returns the signatures over a model from pixels [N, H, W, C] (`serving.graph.inputs`).

    Two signatures return the outputs of the contract's task; `serving.tasks` defines these and the
    model outputs that they need. The third returns the contract's JSON for any input. Others are
    for maps: `serving_pixels` takes decoded tiles, and `serving_planes` (segmentation) returns the
    probability of every class in a compact form. With a reliable model, all but the contract's also
    return the outputs on reliability that the contract promises (`serving.graph.reliability`). With

    an explainable model there are two more: one explains answers (`serving.graph.explain`) with the
    contract's options, the other returns each image's embedding.
    """

    spec, task = contract.image, task_graph(contract.task)
    images = tf.TensorSpec([None], tf.string, BYTES_INPUT)
    tiles = tf.TensorSpec([None, None, None, spec.shape[2]], spec.pixel_type, PIXELS_INPUT)

    # Each function is traced once, whatever the number of signatures that call it.
    @tf.function(
        input_signature=[tf.TensorSpec([None, *spec.shape], spec.pixel_type)], autograph=False
    )
    def network(pixels: tf.Tensor) -> Any:
        return model(pixels)

    @tf.function(
        input_signature=[tf.TensorSpec([None, *spec.shape], spec.pixel_type)], autograph=False
    )
    def embedded(pixels: tf.Tensor) -> Any:
        assert reliable is not None
        return reliable.model(pixels)

    def answered(pixels: tf.Tensor, answer_of: Callable[[Any], Tensors]) -> Tensors:
        if reliable is None:
            return answer_of(require_finite(network(pixels)))
        outputs, traits = embedded(pixels)
        answer = answer_of(require_finite(outputs))
        return answer | reliability(answer, traits, reliable.unknown, task, contract)

    @tf.function(input_signature=[images], autograph=False)
    def from_bytes(image_bytes: tf.Tensor) -> Tensors:
        pixels = model_input(image_bytes, spec, contract.band_scalings)
        return answered(pixels, lambda outputs: task.answer(outputs, pixels, contract))

    def from_examples(examples: tf.Tensor) -> Tensors:
        parsed = {ENCODED: tf.io.FixedLenFeature([], tf.string)}
        answers: Tensors = from_bytes(tf.io.parse_example(examples, parsed)[ENCODED])
        return answers

    def from_pixels(pixels: tf.Tensor) -> Tensors:
        fitted = fit_pixels(pixels, spec)
        return answered(fitted, lambda outputs: task.for_maps(outputs, fitted, contract))

    def to_planes(image_bytes: tf.Tensor) -> Tensors:
        pixels = model_input(image_bytes, spec, contract.band_scalings)
        return answered(pixels, task.planes)

    text = contract.to_json()

    def of_contract(request: tf.Tensor) -> Tensors:
        return {CONTRACT_OUTPUT: tf.fill(tf.shape(request), text)}

    def to_explanations(image_bytes: tf.Tensor, target: tf.Tensor) -> Tensors:
        assert explainable is not None
        pixels = model_input(image_bytes, spec, contract.band_scalings)
        options = contract.explanations or Explanations()
        return explain(explainable, pixels, target, task, contract, options)

    def to_embedding(image_bytes: tf.Tensor) -> Tensors:
        assert explainable is not None
        pixels = model_input(image_bytes, spec, contract.band_scalings)
        traced = explainable(tf.cast(pixels, tf.float32))
        return {EMBEDDING_OUTPUT: traced.embedding, OUTPUTS_OUTPUT: traced.outputs}

    def strings(name: str) -> tuple[tf.TensorSpec, ...]:
        return (tf.TensorSpec([None], tf.string, name),)

    found = [
        Signature(BYTES_SIGNATURE, from_bytes, (images,)),
        Signature(EXAMPLES_SIGNATURE, from_examples, strings(EXAMPLES_INPUT)),
        Signature(CONTRACT_SIGNATURE, of_contract, strings(CONTRACT_INPUT)),
        Signature(PIXELS_SIGNATURE, from_pixels, (tiles,)),
    ]
    if task.has_planes:
        found.append(Signature(PLANES_SIGNATURE, to_planes, (images,)))
    if explainable is not None:
        targets = strings(TARGET_INPUT)
        found.append(Signature(EXPLAIN_SIGNATURE, to_explanations, (images, *targets)))
        found.append(Signature(EMBEDDING_SIGNATURE, to_embedding, (images,)))
    return tuple(found)
