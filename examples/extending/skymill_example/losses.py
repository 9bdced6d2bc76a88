"""Your own loss and training metric: confusions have prices."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from skymill_example.prices import price_table


class ConfusionCost(keras.losses.Loss):
    """Cross-entropy, and the expected price of an answer drawn from the probabilities."""

    def __init__(self, classes: Sequence[str], prices: Mapping[str, float], weight: float = 1.0):
        super().__init__(name="confusion_cost")
        self.table, self.weight = price_table(prices, classes), weight

    def call(self, truth: Any, logits: Any) -> Any:
        """Computes one loss for each image: class indices [N] and logits [N, K] to [N]."""
        truth = keras.ops.cast(truth, "int32")
        entropy = keras.losses.sparse_categorical_crossentropy(truth, logits, from_logits=True)
        row = keras.ops.take(keras.ops.array(self.table), truth, axis=0)
        return entropy + self.weight * keras.ops.sum(row * keras.ops.softmax(logits), axis=-1)


class MeanCost(keras.metrics.MeanMetricWrapper):
    """Mean price of the answers, for class indices [N] and logits [N, K]."""

    def __init__(self, classes: Sequence[str], prices: Mapping[str, float], name: str):
        super().__init__(self.cost, name=name)
        self.table = price_table(prices, classes)

    def cost(self, truth: Any, logits: Any) -> Any:
        """Returns the price of each answer, [N]."""
        row = keras.ops.take(keras.ops.array(self.table), keras.ops.cast(truth, "int32"), axis=0)
        answer = keras.ops.argmax(logits, axis=-1)[..., None]
        return keras.ops.take_along_axis(row, answer, axis=-1)[..., 0]
