"""Metrics of segmentation, over the pixels with known truth."""

from typing import Any

import keras

_ops = keras.ops


class PixelConfusion(keras.metrics.Metric):
    """Confusion of true and predicted classes over the pixels with a truth.

    Args:
        classes: K.
        ignore: the value of pixels without truth.
    """

    def __init__(self, classes: int, ignore: int, name: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.classes, self.ignore = classes, ignore
        shape = (classes, classes)
        self.counts = self.add_variable(shape, keras.initializers.Zeros(), name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts class indices [N, H, W] against logits [N, H, W, K]; ignores sample weights."""
        truth = _ops.reshape(_ops.cast(y_true, "int32"), (-1,))
        found = _ops.reshape(_ops.cast(_ops.argmax(y_pred, axis=-1), "int32"), (-1,))
        known = _ops.not_equal(truth, self.ignore)
        cells = _ops.where(known, truth * self.classes + found, self.classes**2)
        # Avoids bincount: XLA compiles it only if the graph fixes the number of cells.
        ones, many = _ops.ones_like(cells), self.classes**2
        counted = _ops.segment_sum(ones, cells, num_segments=many + 1)[:many]
        self.counts.assign_add(
            _ops.reshape(_ops.cast(counted, self.dtype), (self.classes, self.classes))
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes, "ignore": self.ignore}


class MeanIou(PixelConfusion):
    """Mean intersection over union of the classes that have a true pixel."""

    def result(self) -> Any:
        right = _ops.diagonal(self.counts)
        true, predicted = _ops.sum(self.counts, axis=1), _ops.sum(self.counts, axis=0)
        present = _ops.cast(true > 0, self.dtype)
        ious = right / _ops.maximum(true + predicted - right, 1.0)
        return _ops.sum(ious * present) / _ops.maximum(_ops.sum(present), 1.0)


class PixelAccuracy(PixelConfusion):
    """Share of the known pixels with the right class."""

    def result(self) -> Any:
        return _ops.trace(self.counts) / _ops.maximum(_ops.sum(self.counts), 1.0)
