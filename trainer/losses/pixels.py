"""The loss of segmentation, over the pixels with known truth."""

from collections.abc import Sequence
from typing import Any

import keras

_ops = keras.ops


class PixelLoss(keras.losses.Loss):
    """Cross-entropy and Dice loss of logits [N, H, W, K] against class indices [N, H, W].

    Pixels with the ignore value are excluded. Each image has one loss:

    - cross-entropy: the sum over the known pixels divided by the number of all pixels, so that an
      image's weight is its share of known pixels. With `gamma` a pixel's loss is scaled by
      (1 - p)^gamma of its class (focal loss, Lin et al. 2017).
    - Dice: 1 less the mean of 2 |P T| / (|P| + |T|) over the classes that have a true pixel in the
      image (Milletari et al. 2016, without squares), 0 if there are none.

    Args:
        ignore: the value of pixels without truth.
        cross_entropy: weight of that part.
        dice: weight of that part.
        class_weights: weights of the classes in the cross-entropy; None: equal.
        gamma: exponent of the focal loss; 0 for plain cross-entropy.
    """

    def __init__(
        self,
        ignore: int,
        cross_entropy: float = 1.0,
        dice: float = 0.0,
        class_weights: Sequence[float] | None = None,
        gamma: float = 0.0,
        name: str = "pixel_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.ignore, self.cross_entropy, self.dice = ignore, cross_entropy, dice
        self.class_weights = None if class_weights is None else tuple(class_weights)
        self.gamma = gamma

    def call(self, truth: Any, logits: Any) -> Any:
        """Computes the loss of each image, [N]."""
        known = _ops.cast(_ops.not_equal(truth, self.ignore), logits.dtype)
        classes = logits.shape[-1]
        # An ignored pixel is not a class: its one-hot row is zero and adds nothing to any sum.
        hot = _ops.one_hot(_ops.cast(truth, "int32"), classes, dtype=logits.dtype)
        hot = hot * known[..., None]
        log_p = _ops.log_softmax(logits, axis=-1)
        loss = 0.0
        if self.cross_entropy:
            loss += self.cross_entropy * self._entropy(hot, log_p)
        if self.dice:
            loss += self.dice * _dice(hot, _ops.exp(log_p) * known[..., None])
        return loss

    def _entropy(self, hot: Any, log_p: Any) -> Any:
        parts = hot * log_p
        if self.gamma:
            # A power below 1 has no finite slope at 0, so p stays a little below 1.
            rest = _ops.maximum(1 - _ops.exp(log_p), keras.config.epsilon())
            parts *= _ops.power(rest, self.gamma)
        if self.class_weights is not None:
            parts *= _ops.convert_to_tensor(self.class_weights, log_p.dtype)
        return -_ops.mean(_ops.sum(parts, axis=-1), axis=(1, 2))

    def get_config(self) -> dict[str, Any]:
        names = ("ignore", "cross_entropy", "dice", "class_weights", "gamma")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _dice(hot: Any, p: Any) -> Any:
    truth, both, predicted = (_ops.sum(each, axis=(1, 2)) for each in (hot, hot * p, p))
    present = _ops.cast(truth > 0, p.dtype)
    scores = present * 2 * both / _ops.maximum(truth + predicted, 1e-6)
    count = _ops.sum(present, axis=-1)
    missed = count - _ops.sum(scores, axis=-1)
    return missed / _ops.maximum(count, 1.0)
