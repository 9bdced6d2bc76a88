"""Optimizers with learning rates and weight decay by variable, for its depth and kind."""

from collections.abc import Sequence
from typing import Any

import keras

from trainer.training.config import TrainConfig


class _EachVariable:
    """Mix-in for optimizers with a learning-rate factor and a decay for each variable.

    Args:
        factors: factors of the learning rate, in the order of the variables.
        decays: decoupled weight decay (Loshchilov and Hutter, 2019), in the same order.
    """

    def __init__(
        self, rate: Any, factors: Sequence[float], decays: Sequence[float], **kwargs: Any
    ) -> None:
        super().__init__(rate, **kwargs)  # type: ignore[call-arg]
        self.factors, self.decays = tuple(factors), tuple(decays)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable; its decay comes first, as in Keras' own AdamW."""
        index: int = self._get_variable_index(variable)  # type: ignore[attr-defined]
        rate = learning_rate * self.factors[index]
        if self.decays[index]:
            factor = keras.ops.cast(rate * self.decays[index], variable.dtype)
            self.assign_sub(variable, variable * factor)  # type: ignore[attr-defined]
        super().update_step(gradient, variable, rate)  # type: ignore[misc]


class Adam(_EachVariable, keras.optimizers.Adam):
    """Adam with a factor and a decay for each variable."""


class SGD(_EachVariable, keras.optimizers.SGD):
    """Stochastic gradient descent with a factor and a decay for each variable."""


def make_optimizer(
    config: TrainConfig,
    rate: keras.optimizers.schedules.LearningRateSchedule,
    variables: Sequence[keras.Variable],
    factors: Sequence[float],
    loss_scaled: bool = False,
) -> keras.optimizers.Optimizer:
    """Builds the configured optimizer for the variables.

    Weight decay applies to kernels only: biases, and the scales and offsets of normalisations, are
    vectors that must not decay to 0.

    Args:
        factors: factors of the learning rate, one for each variable.
        loss_scaled: whether gradients pass through float16, which lacks small numbers.
    """
    decay = config.weight_decay if config.optimizer == "adamw" else 0.0
    decays = [decay if len(variable.shape) > 1 else 0.0 for variable in variables]
    shared: dict[str, Any] = {"global_clipnorm": config.clip_norm}
    if config.ema is not None:
        shared |= {"use_ema": True, "ema_momentum": config.ema}
    optimizer: keras.optimizers.Optimizer
    if config.optimizer == "sgd":
        optimizer = SGD(rate, factors, decays, momentum=0.9, **shared)
    else:
        optimizer = Adam(rate, factors, decays, **shared)
    if loss_scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # Restoring slots requires the variables, which exist only once the optimizer is built.
    optimizer.build(list(variables))
    return optimizer
