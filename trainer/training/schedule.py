"""Learning-rate schedules over the steps of a stage."""

from typing import Any

import keras

from trainer.training.config import ScheduleName


class Constant(keras.optimizers.schedules.LearningRateSchedule):
    """Constant learning rate."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, step: Any) -> Any:
        return keras.ops.convert_to_tensor(self.rate, "float32")

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate}


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `peak` over the first `steps`, followed by a schedule from its beginning.

    The first step has peak / steps, and the last warm-up step has the peak.
    """

    def __init__(
        self, peak: float, steps: int, then: keras.optimizers.schedules.LearningRateSchedule
    ) -> None:
        self.peak, self.steps, self.then = peak, steps, then

    def __call__(self, step: Any) -> Any:
        at = keras.ops.cast(step, "float32")
        rising = self.peak * (at + 1) / self.steps
        later = self.then(keras.ops.maximum(at - self.steps, 0))
        return keras.ops.where(at < self.steps, rising, later)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps, "then": self.then}


def make_schedule(
    name: ScheduleName, peak: float, total_steps: int, warmup_steps: int = 0, final: float = 0.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Builds the schedule of a stage, warm-up included.

    Args:
        peak: the highest rate.
        total_steps: steps of the whole stage, including the warm-up.
        final: the rate at the end, as a share of the peak; no effect on `constant`.
    """
    falling = max(total_steps - warmup_steps, 1)
    schedules = keras.optimizers.schedules
    then: keras.optimizers.schedules.LearningRateSchedule
    match name:
        case "cosine":
            then = schedules.CosineDecay(peak, falling, alpha=final)
        case "linear":
            then = schedules.PolynomialDecay(peak, falling, end_learning_rate=peak * final)
        case "exponential":
            then = schedules.ExponentialDecay(peak, falling, decay_rate=final)
        case "constant":
            then = Constant(peak)
    return WarmupSchedule(peak, warmup_steps, then) if warmup_steps else then
