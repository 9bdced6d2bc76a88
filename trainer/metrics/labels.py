"""Metrics for several labels per image, each present or absent.

Truth above 0.5 counts as presence, because mixed views have shares.
"""

from typing import Any

import keras


class ClassAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of right decisions, for targets [N, K] from 0 to 1 and logits [N, K].

    Args:
        threshold: the logit above which a class counts as present.
    """

    def __init__(self, threshold: float, name: str = "accuracy", **kwargs: Any) -> None:
        super().__init__(_each_right, name=name, threshold=threshold, **kwargs)
        self.threshold = threshold

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}


class ExactMatch(keras.metrics.MeanMetricWrapper):
    """Share of images with all classes right; arguments as above."""

    def __init__(self, threshold: float, name: str = "exact_match", **kwargs: Any) -> None:
        super().__init__(_all_right, name=name, threshold=threshold, **kwargs)
        self.threshold = threshold

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}


class MacroAuc(keras.metrics.AUC):
    """Mean area under the ROC curve over the classes for which it is defined; 0 if there are none.

    It is defined for classes that are present in some images and absent from others. Keras' own
    mean counts any other class as 0.

    Args:
        classes: number of classes; targets and logits are [N, classes].
    """

    def __init__(self, classes: int, name: str = "macro_auc", **kwargs: Any) -> None:
        super().__init__(
            name=name, multi_label=True, num_labels=classes, from_logits=True, **kwargs
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(_present(y_true), y_pred, sample_weight)

    def result(self) -> Any:
        # These sums of a class's four counts are the same at any threshold.
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
