"""Graph of the reliability of a served answer."""

import tensorflow as tf

from serving.contract.contract import Contract
from serving.contract.reliability import UnknownScore
from serving.tasks.graph import TaskGraph, Tensors
from serving.tasks.reliability import (
    DISAGREEMENT_OUTPUT,
    UNKNOWN_PERCENTILE_OUTPUT,
    UNKNOWN_SCORE_OUTPUT,
)


def reliability(
    answer: Tensors,
    traits: Tensors,
    unknown: UnknownScore | None,
    task: TaskGraph,
    contract: Contract,
) -> Tensors:
    """Returns the outputs on reliability that the contract promises beside an answer of N rows.

    Args:
        answer: of the task.
        traits: of each answer, by name: `embedding` [N, D], and for an ensemble `disagreement` [N].
        unknown: constants of the score of unknown imagery, if the contract promises it.
        task: of the contract.
        contract: with the constants of conformal prediction.
    """
    found = {} if unknown is None else _unknown(traits["embedding"], unknown)
    if contract.conformal is not None:
        found |= task.conformal(answer, contract.conformal.bound)
    if contract.ensemble is not None:
        found[DISAGREEMENT_OUTPUT] = traits["disagreement"]
    return found


def _unknown(embedding: tf.Tensor, constants: UnknownScore) -> Tensors:
    """Returns the score and its percentile, as `UnknownScore.scores` defines them.

    With a small network every operation takes a notable share of the time, whatever its size, so
    rows keep their second axis, and one product counts the quantiles.
    """

    def fixed(values: object) -> tf.Tensor:
        return tf.constant(values, tf.float32)

    def squares(values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.square(values), axis=-1, keepdims=True)

    projected = (tf.cast(embedding, tf.float32) - fixed(constants.centre)) @ fixed(
        constants.projection
    )
    nearest = tf.reduce_min(squares(tf.expand_dims(projected, 1) - fixed(constants.means)), axis=1)
    distances = [nearest]
    if len(constants.means) > 1:
        distances.append(nearest - squares(projected @ fixed(constants.background)))
    scores = [
        (distance - typical) / spread
        for distance, typical, spread in zip(
            distances, constants.typical, constants.spread, strict=True
        )
    ]
    score = scores[0] if len(scores) == 1 else tf.maximum(*scores)
    # Values that overflow are as unlike the training's as possible; NaN would have percentile 0.
    score = tf.where(tf.math.is_finite(score), score, tf.float32.max)
    reached = tf.cast(score >= fixed(constants.quantiles), tf.float32)
    share = fixed([[100.0 / len(constants.quantiles)]] * len(constants.quantiles))
    return {
        UNKNOWN_SCORE_OUTPUT: tf.squeeze(score, 1),
        UNKNOWN_PERCENTILE_OUTPUT: tf.squeeze(reached @ share, 1),
    }
