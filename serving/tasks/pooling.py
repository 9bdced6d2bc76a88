"""Mean of the members of an ensemble, and their disagreement, as graphs."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Pooled:
    """Outputs of an ensemble of M members.

    Attributes:
        outputs: in the form of one member's, [N, ...], so they convert to an answer in the same
            way.
        disagreement: float32 [N], 0 where all members agree.
    """

    outputs: tf.Tensor
    disagreement: tf.Tensor


def pool_classes(logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Averages the probabilities (softmax) of members.

    Args:
        logits: [M, ..., K].

    Returns:
        The logarithms of the mean probabilities, float32 [..., K], whose softmax is that mean; and
        the mutual information of class and member, in nats, float32 [...]: the entropy of the mean
        minus the mean of the entropies (Houlsby et al. 2011, arXiv 1112.5745).
    """
    logs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
    members = tf.cast(tf.shape(logs)[0], tf.float32)
    mean = tf.reduce_logsumexp(logs, axis=0) - tf.math.log(members)
    information = _entropy(mean) - tf.reduce_mean(_entropy(logs), axis=0)
    return mean, tf.clip_by_value(information, 0.0, tf.math.log(members))


def pool_presences(logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Averages the probabilities (sigmoid) of members.

    Args:
        logits: [M, N, K].

    Returns:
        The logits of the mean probabilities, float32 [N, K], and the mutual information of presence
        and member for each class, [N, K].
    """
    both = tf.stack([logits, tf.zeros_like(logits)], axis=-1)
    mean, information = pool_classes(both)
    return mean[..., 0] - mean[..., 1], information


def _entropy(logs: tf.Tensor) -> tf.Tensor:
    return -tf.reduce_sum(tf.exp(logs) * logs, axis=-1)
