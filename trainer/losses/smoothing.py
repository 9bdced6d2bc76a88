"""Cross-entropy with label smoothing."""

from typing import Any

import keras


class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of class indices [...] and logits [..., K], with label smoothing.

    As in Szegedy et al. (2016), the target probability is 1 - s + s / K for the true class and s /
    K for each other one.
    """

    def __init__(self, smoothing: float) -> None:
        super().__init__(name="smoothed_crossentropy")
        self._smoothing = smoothing

    def call(self, truth: Any, logits: Any) -> Any:
        """Computes one loss for each index."""
        wanted = keras.ops.one_hot(keras.ops.cast(truth, "int32"), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            wanted, logits, from_logits=True, label_smoothing=self._smoothing
        )
