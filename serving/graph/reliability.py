"""The parts of a served answer that say how far it can be relied on."""

import tensorflow as tf

from serving.contract.contract import Contract
from serving.contract.reliability import UnknownScore
from serving.tasks.graph import TaskGraph, Tensors
from serving.tasks.reliability import UNKNOWN_PERCENTILE_OUTPUT, UNKNOWN_SCORE_OUTPUT


def reliability(
    answer: Tensors,
    embedding: tf.Tensor,
    unknown: UnknownScore | None,
    task: TaskGraph,
    contract: Contract,
) -> Tensors:
    """Returns the outputs beside an answer of N rows that the contract promises.

    Args:
        answer: of the task.
        embedding: [N, D].
        unknown: constants of the score of unknown imagery, if the contract promises it.
        task: of the contract.
        contract: with the constants of conformal prediction.
    """
    found = {} if unknown is None else _unknown(embedding, unknown)
    if contract.conformal is not None:
        found |= task.conformal(answer, contract.conformal.bound)
    return found


def _unknown(embedding: tf.Tensor, constants: UnknownScore) -> Tensors:
    def fixed(values: object) -> tf.Tensor:
        return tf.constant(values, tf.float32)

    projected = (tf.cast(embedding, tf.float32) - fixed(constants.centre)) @ fixed(
        constants.projection
    )
    from_all = tf.reduce_sum((projected @ fixed(constants.background)) ** 2, axis=1)
    apart = projected[:, tf.newaxis] - fixed(constants.means)
    nearest = tf.reduce_min(tf.reduce_sum(apart**2, axis=2), axis=1)
    several = len(constants.means) > 1
    distances = tf.stack([nearest, *([nearest - from_all] if several else [])], axis=1)
    score = tf.reduce_max((distances - fixed(constants.typical)) / fixed(constants.spread), axis=1)
    # Values that overflow are as unlike the training's as can be; NaN would have percentile 0.
    score = tf.where(tf.math.is_finite(score), score, tf.float32.max)
    below = tf.cast(score[:, tf.newaxis] >= fixed(constants.quantiles), tf.float32)
    return {
        UNKNOWN_SCORE_OUTPUT: score,
        UNKNOWN_PERCENTILE_OUTPUT: 100.0 * tf.reduce_mean(below, axis=1),
    }
