"""Metrics of several classes an image, of which each is present or absent.

Truth above a half counts as presence: mixed views have shares of it.
"""

from typing import Any

import keras


class ClassAccuracy(keras.metrics.MeanMetricWrapper):
    """The share of right decisions, of targets [N, K] from 0 to 1 and logits [N, K].

    Args:
        threshold: the logit above which a class counts as present.
    """

    def __init__(self, threshold: float, name: str = "accuracy", **kwargs: Any) -> None:
        super().__init__(_each_right, name=name, threshold=threshold, **kwargs)
        self.threshold = threshold

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}


class ExactMatch(keras.metrics.MeanMetricWrapper):
    """The share of images of which every class was judged rightly; arguments as above."""

    def __init__(self, threshold: float, name: str = "exact_match", **kwargs: Any) -> None:
        super().__init__(_all_right, name=name, threshold=threshold, **kwargs)
        self.threshold = threshold

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}


class MacroAuc(keras.metrics.AUC):
    """The mean area under the ROC curve over the classes that have one; 0 where none has.

    A class has one that is present in some images and absent from others. Keras' own mean counts
    any other class as 0.

    Args:
        classes: how many there are; targets and logits are [N, classes].
    """

    def __init__(self, classes: int, name: str = "macro_auc", **kwargs: Any) -> None:
        super().__init__(
            name=name, multi_label=True, num_labels=classes, from_logits=True, **kwargs
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(_present(y_true), y_pred, sample_weight)

    def result(self) -> Any:
        # Whatever the threshold, the four counts of a class have these sums.
        positives = keras.ops.add(self.true_positives, self.false_negatives)[0]
        negatives = keras.ops.add(self.true_negatives, self.false_positives)[0]
        have_one = keras.ops.logical_and(positives > 0, negatives > 0)
        count = keras.ops.sum(keras.ops.cast(have_one, "float32"))
        return super().result() * self.num_labels / keras.ops.maximum(count, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "classes": self.num_labels}


def _present(truth: Any) -> Any:
    return keras.ops.convert_to_tensor(truth) > 0.5


def _each_right(truth: Any, logits: Any, threshold: float) -> Any:
    right = keras.ops.equal(_present(truth), keras.ops.convert_to_tensor(logits) > threshold)
    return keras.ops.cast(right, "float32")


def _all_right(truth: Any, logits: Any, threshold: float) -> Any:
    return keras.ops.min(_each_right(truth, logits, threshold), axis=-1)
