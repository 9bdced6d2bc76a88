"""Losses that emphasise rare classes and difficult examples."""

from collections.abc import Sequence
from typing import Any

import keras

_ops = keras.ops


@keras.saving.register_keras_serializable("skymill")
class FocalCategorical(keras.losses.Loss):
    """Cross-entropy of logits in which each class's part is scaled by (1 - p)^gamma.

    Lin et al. 2017, equation 4, summed over soft labels; 0 gives plain cross-entropy. Sample
    weights do what their alpha does.

    Args:
        gamma: how strongly well-classified examples are down-weighted.
        smoothing: share of the truth spread over all classes.
    """

    def __init__(self, gamma: float, smoothing: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**{"name": "focal", **kwargs})
        self.gamma, self.smoothing = gamma, smoothing

    def call(self, truth: Any, logits: Any) -> Any:
        """Computes the loss at each position, [...].

        Args:
            truth: indices [...] or shares [..., K].
            logits: [..., K].
        """
        if len(truth.shape) < len(logits.shape):
            truth = _ops.one_hot(truth, logits.shape[-1], dtype=logits.dtype)
        truth = _ops.cast(truth, logits.dtype)
        truth = truth * (1 - self.smoothing) + self.smoothing / logits.shape[-1]
        log_p = _ops.log_softmax(logits, axis=-1)
        # A power below 1 has no finite slope at 0, so p stays a little below 1.
        rest = _ops.maximum(1 - _ops.exp(log_p), keras.config.epsilon())
        return -_ops.sum(truth * rest**self.gamma * log_p, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma, "smoothing": self.smoothing}


@keras.saving.register_keras_serializable("skymill")
class WeightedBinary(keras.losses.Loss):
    """Binary cross-entropy of logits, with class weights for presence and optional focal scaling.

    Args:
        positive: weight of the presence of each of the K classes; None: 1.
        gamma: as in `FocalCategorical`; 0 for plain cross-entropy.
        smoothing: share of the truth spread over presence and absence.
    """

    def __init__(
        self,
        positive: Sequence[float] | None = None,
        gamma: float = 0.0,
        smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"name": "weighted_binary", **kwargs})
        self.positive = None if positive is None else tuple(positive)
        self.gamma, self.smoothing = gamma, smoothing

    def call(self, truth: Any, logits: Any) -> Any:
        """Computes the mean loss over the classes, [N].

        Args:
            truth: [N, K], from 0 to 1.
            logits: [N, K].
        """
        truth = _ops.cast(truth, logits.dtype) * (1 - self.smoothing) + self.smoothing / 2
        positive = 1.0 if self.positive is None else _ops.array(self.positive, logits.dtype)
        present = positive * truth * _ops.softplus(-logits) * self._rest(-logits)
        absent = (1 - truth) * _ops.softplus(logits) * self._rest(logits)
        return _ops.mean(present + absent, axis=-1)

    def _rest(self, logits: Any) -> Any:
        # Computed from the logarithm, because a power has no slope at 0.
        return _ops.exp(-self.gamma * _ops.softplus(-logits)) if self.gamma else 1.0

    def get_config(self) -> dict[str, Any]:
        own = {"positive": self.positive, "gamma": self.gamma, "smoothing": self.smoothing}
        return {**super().get_config(), **own}
