"""Cross-entropy that does not ask for certainty."""

from typing import Any

import keras


class SmoothedCrossentropy(keras.losses.Loss):
    """Of class indices [...] and logits [..., K], with a share of the truth on all classes.

    Label smoothing as of Szegedy et al. (2016): the true class is wanted with probability
    1 - s + s / K, each other one with s / K.
    """

    def __init__(self, smoothing: float) -> None:
        super().__init__(name="smoothed_crossentropy")
        self._smoothing = smoothing

    def call(self, truth: Any, logits: Any) -> Any:
        """One loss for each index."""
        wanted = keras.ops.one_hot(keras.ops.cast(truth, "int32"), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            wanted, logits, from_logits=True, label_smoothing=self._smoothing
        )
