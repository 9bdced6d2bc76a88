"""Graph of `serving_explain`: heat maps of the pixels on which an answer depends."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from serving.contract.contract import Contract
from serving.contract.explanations import Explanations
from serving.contract.names import (
    ATTRIBUTION_SUM_OUTPUT,
    BASELINE_SCORE_OUTPUT,
    EXPLAINED_OUTPUT,
    GRAD_CAM_OUTPUT,
    GRADIENTS_OUTPUT,
    SCORE_OUTPUT,
)
from serving.graph.gradients import (
    AffineLine,
    baseline_of,
    grad_cam,
    heat_of,
    heat_png,
    integrated_gradients,
)
from serving.graph.refusing import listed, require
from serving.tasks.detection.answer import BOXES_OUTPUT
from serving.tasks.graph import TaskGraph, Tensors

#: Begins the message if a target is not a class or object of the answer.
UNKNOWN_TARGET = "unknown_target"
_SHOWN_CLASSES = 20


@dataclass(frozen=True)
class Traced:
    """Outputs of a model, with gradients to its input and its feature maps.

    Attributes:
        embedding: its features as one vector [N, D].
        maps: its last feature maps [N, h, w, D]; empty if it has none.
        outputs: inputs of its loss, from which the score of an explanation is computed.
        found: input of `TaskGraph.answer`.
    """

    embedding: tf.Tensor
    maps: list[tf.Tensor]
    outputs: tf.Tensor
    found: Any


@dataclass(frozen=True, eq=False)
class Explainable:
    """A model in two parts, so that repeated gradients are computed only for the second.

    Attributes:
        first: affine function from float pixels [N, H, W, C], as in `serving.graph.inputs`, to
        values.
        rest: function from these values to the model's outputs.
    """

    first: Callable[[tf.Tensor], tf.Tensor]
    rest: Callable[[tf.Tensor], Traced]

    def __call__(self, pixels: tf.Tensor) -> Traced:
        return self.rest(self.first(pixels))


def explain(
    model: Explainable,
    pixels: tf.Tensor,
    target: tf.Tensor,
    task: TaskGraph,
    spec: Contract,
    options: Explanations,
) -> Tensors:
    """Explains the answers to pixels [N, H, W, C] of the model's type.

    Args:
        model: one that shares the weights of the served one.
        pixels: as in `serving.graph.inputs`.
        target: string [N]: the class or object to explain, see `TaskGraph.explained`; empty for the
            answer's own.
        task: the model's task.
        spec: the contract.
        options: steps and baseline.
    """
    values = tf.cast(pixels, tf.float32)
    line = AffineLine.between(model.first, baseline_of(values, options.baseline), values)
    entering = line.last
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(entering)
        traced = model.rest(entering)
        fixed = tf.stop_gradient(traced.outputs)
        chosen = task.explained(fixed, traced.found, pixels, target, spec)
        score = weighed(traced.outputs, chosen.weights)
    unknown = listed(tf.boolean_mask(target, ~chosen.known))
    require(chosen.known, UNKNOWN_TARGET, tf.strings.join([unknown, _targets(spec)]))

    def score_of(entering: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        return weighed(model.rest(entering).outputs, tf.gather(chosen.weights, rows))

    attributions = integrated_gradients(line, score_of, options.steps)
    result = {
        EXPLAINED_OUTPUT: chosen.names,
        SCORE_OUTPUT: score,
        BASELINE_SCORE_OUTPUT: weighed(model.rest(line.first).outputs, chosen.weights),
        ATTRIBUTION_SUM_OUTPUT: tf.reduce_sum(attributions, axis=(1, 2, 3)),
        GRADIENTS_OUTPUT: heat_png(heat_of(attributions)),
    }
    if traced.maps:
        gradients = tape.gradient(score, traced.maps, unconnected_gradients="zero")
        result[GRAD_CAM_OUTPUT] = heat_png(
            grad_cam(traced.maps, gradients, spec.image.height_px, spec.image.width_px)
        )
    return result


def _targets(spec: Contract) -> str:
    """Describes the valid targets, for the message on an unknown one."""
    if not spec.classes:
        return "; leave the target out"
    shown = ", ".join(spec.classes[:_SHOWN_CLASSES])
    more = ", ..." if len(spec.classes) > _SHOWN_CLASSES else ""
    objects = " or an object, such as #0" if BOXES_OUTPUT in spec.outputs else ""
    return f"; a target is a class ({shown}{more}){objects}"


def weighed(outputs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns the weighted sum of outputs [N, ...], with weights of the same shape: [N]."""
    rows = tf.shape(outputs)[0]
    product = tf.cast(outputs, tf.float32) * weights
    return tf.reduce_sum(tf.reshape(product, (rows, -1)), axis=1)
