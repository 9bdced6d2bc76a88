"""Steps of the optimizers, by hand."""

import keras
import numpy as np
import pytest

from trainer.training.config import TrainConfig
from trainer.training.optimizer import make_optimizer
from trainer.training.schedule import Constant


def variables():
    return [
        keras.Variable(np.full((2, 2), 2.0, np.float32), name="kernel"),
        keras.Variable(np.full((2,), 2.0, np.float32), name="bias"),
    ]


def step(config, factors, gradient=1.0, loss_scaled=False):
    kernel, bias = some = variables()
    optimizer = make_optimizer(config, Constant(0.1), some, factors, loss_scaled)
    optimizer.apply([np.full(each.shape, gradient, np.float32) for each in some], some)
    return float(kernel[0, 0]), float(bias[0]), optimizer


def test_each_variable_has_its_rate_and_kernels_alone_decay():
    config = TrainConfig(optimizer="adamw", weight_decay=0.5)
    kernel, bias, _ = step(config, [0.5, 1.0])
    # Adam's first step is the rate itself; the decay before it takes rate times decay.
    assert kernel == pytest.approx(2 * (1 - 0.05 * 0.5) - 0.05, abs=1e-5)
    assert bias == pytest.approx(2 - 0.1, abs=1e-5)


def test_decay_and_steps_are_those_of_keras_adamw():
    config = TrainConfig(optimizer="adamw", weight_decay=0.3)
    mine, theirs = (keras.Variable(np.eye(3, dtype=np.float32)) for _ in range(2))
    ours = make_optimizer(config, Constant(0.01), [mine], [1.0])
    keras_own = keras.optimizers.AdamW(0.01, weight_decay=0.3)
    for seed in range(4):
        gradient = np.random.default_rng(seed).normal(size=(3, 3)).astype(np.float32)
        ours.apply([gradient], [mine])
        keras_own.apply([gradient], [theirs])
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5)


def test_sgd_takes_no_decay_and_gradients_are_clipped_together():
    config = TrainConfig(optimizer="sgd", clip_norm=3.0)
    # Six ones times 4 have the norm 4 sqrt(6).
    kernel, bias, _ = step(config, [1.0, 0.5], gradient=4.0)
    clipped = 4 * 3 / (4 * 6**0.5)
    assert kernel == pytest.approx(2 - 0.1 * clipped, rel=1e-5)
    assert bias == pytest.approx(2 - 0.05 * clipped, rel=1e-5)


def test_a_scaled_loss_changes_no_step_and_its_scale_is_a_slot():
    config = TrainConfig(optimizer="sgd")
    kernel, _, optimizer = step(config, [1.0, 1.0], gradient=2.0**15, loss_scaled=True)
    assert kernel == pytest.approx(2 - 0.1)
    assert 2.0**15 in [float(np.max(variable.numpy())) for variable in optimizer.variables]


def test_an_average_begins_with_the_first_step():
    kernel, _, optimizer = step(TrainConfig(optimizer="sgd", ema=0.9), [1.0, 1.0])
    averages = [variable for variable in optimizer.variables if "average" in variable.path]
    assert float(averages[0][0, 0]) == pytest.approx(kernel)
