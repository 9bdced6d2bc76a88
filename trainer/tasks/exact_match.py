"""The share of images of which every class was judged rightly."""

from typing import Any

import keras


class ExactMatch(keras.metrics.MeanMetricWrapper):
    """Of targets [N, K] of 0 and 1 and logits [N, K], as a Keras metric.

    Args:
        threshold: the logit above which a class counts as present.
    """

    def __init__(self, threshold: float, name: str = "exact_match", **kwargs: Any) -> None:
        super().__init__(_all_right, name=name, threshold=threshold, **kwargs)
        self.threshold = threshold

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}


def _all_right(truth: Any, logits: Any, threshold: float) -> Any:
    right = keras.ops.equal(truth > 0.5, logits > threshold)
    return keras.ops.cast(keras.ops.all(right, axis=-1), "float32")
