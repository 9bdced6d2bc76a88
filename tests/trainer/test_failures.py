"""Ends and messages of trainings that cannot continue."""

import json
import os
import signal
import socket
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.full_disk import DiskFull
from tests.trainer.objectives import of_classes
from trainer.data.dataset import InMemory
from trainer.distribution.cluster import ClusterEnvironment
from trainer.distribution.config import StrategyName
from trainer.distribution.strategy import make_strategy
from trainer.training.checkpoint import SavingPlan, TrainingInterrupted, stop_on_sigterm
from trainer.training.config import CheckpointPolicy, TrainConfig
from trainer.training.failures import (
    OutOfMemory,
    TrainingError,
    explained_failures,
    not_finite_rows,
    out_of_memory,
)
from trainer.training.fit import fit
from trainer.training.progress import resumed_text

CONFIG = TrainConfig(batch_size=4, epochs=3, learning_rate=0.05, early_stopping=None, ema=0.5)
ROWS = 16


def numbers(seed):
    """Float inputs [16, 2] whose first column determines the class."""
    inputs = np.random.default_rng(seed).normal(size=(ROWS, 2)).astype(np.float32)
    return inputs, (inputs[:, 0] > 0).astype(np.int64)


def model():
    keras.utils.set_random_seed(1)
    features = keras.Input((2,))
    return keras.Model(features, keras.layers.Dense(2)(features))


def run(folder, inputs, labels, fitted=None, config=CONFIG, on_epoch=None, judged=None):
    fitted = fitted or model()
    train, evaluation = InMemory(inputs, labels), InMemory(*(judged or numbers(2)))
    places = f"{folder}/logs", f"{folder}/checkpoints"
    return fitted, fit(fitted, of_classes(2), train, evaluation, config, *places, on_epoch)


def test_a_number_that_is_none_is_found_with_its_example(tmp_path):
    inputs, labels = numbers(1)
    inputs[11, 1] = np.nan
    message = "example 11 of it holds NaN or infinite numbers"
    with pytest.raises(TrainingError, match=message) as raised:
        run(tmp_path, inputs, labels)
    assert "learning_rate" not in str(raised.value)
    batch = json.loads((tmp_path / "logs/bad_batch.json").read_text())
    order = tf.random.experimental.stateless_shuffle(tf.range(ROWS, dtype=tf.int64), (0, 0)).numpy()
    first = 4 * (batch["batch"] - 1)
    assert batch["keys"] == [f"example {row}" for row in order[first : first + 4]]
    assert "example 11" in batch["keys"]


def test_unknown_pixels_are_no_fault_of_an_example():
    pixels = np.zeros((4, 2, 2, 3), np.float32)
    pixels[0, 1, 1], pixels[2, 0, 0, 1] = np.nan, np.inf
    assert not_finite_rows((pixels, np.zeros(4))) == (2,)
    assert not_finite_rows((pixels, np.array([0, np.nan, 0, 0]))) == (1, 2)


class Length(keras.layers.Layer):
    """The length of each row, whose gradient at 0 is not a number."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return tf.sqrt(tf.reduce_sum((inputs * self.kernel) ** 2, axis=1, keepdims=True))


def test_a_gradient_that_is_none_is_blamed_on_its_own_batch_and_not_saved(tmp_path):
    inputs, labels = numbers(1)
    inputs[11] = 0
    every_step = CheckpointPolicy(every_seconds=None, every_steps=1)
    config = CONFIG.model_copy(update={"checkpoints": every_step})
    for _ in range(2):  # taken up again it stops at the same batch: no spoilt state was saved
        features = keras.Input((2,))
        fragile = keras.Model(features, keras.layers.Dense(2)(Length()(features)))
        with pytest.raises(TrainingError, match=r"Weights became NaN .*lower learning_rate"):
            run(tmp_path, inputs, labels, fitted=fragile, config=config)
        assert "example 11" in json.loads((tmp_path / "logs/bad_batch.json").read_text())["keys"]


def test_an_example_that_spoils_the_judgement_is_named(tmp_path):
    inputs, labels = numbers(2)
    inputs[5, 0] = np.inf
    message = "val_loss became .* in epoch 1, on the eval split; example 5 holds NaN or infinite"
    with pytest.raises(TrainingError, match=message):
        run(tmp_path, *numbers(1), judged=(inputs, labels))


class Greedy(keras.layers.Layer):
    """Asks for more memory than there is, in training."""

    def call(self, inputs, training=False):
        return inputs + (tf.reduce_sum(tf.fill((2**22, 2**24), inputs[0, 0])) if training else 0)


def test_out_of_memory_suggests_a_batch_size(tmp_path):
    features = keras.Input((2,))
    greedy = keras.Model(features, keras.layers.Dense(2)(Greedy()(features)))
    with pytest.raises(OutOfMemory, match="Try batch_size: 2 with accumulate: 2,") as raised:
        run(tmp_path, *numbers(1), fitted=greedy)
    assert "(OOM when allocating tensor with shape[4194304,16777216]" in str(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.AbortedError(None, None, "Status: 1, message: could not create a memory object"),
        tf.errors.InternalError(None, None, "Failed call: CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
    ],
)
def test_memory_runs_out_by_other_names(error):
    with (
        pytest.raises(OutOfMemory, match="Try batch_size: 4 with accumulate: 2,"),
        explained_failures(8, 1, 1, "float32"),
    ):
        raise error


def test_the_suggested_batch_size_divides_by_the_replicas():
    assert "batch_size: 12 with accumulate: 2," in out_of_memory(24, 4, 1, "float32", "")
    assert "batch_size: 4 with accumulate: 6," in out_of_memory(8, 4, 3, "float32", "")
    least = out_of_memory(4, 4, 1, "mixed_bfloat16", "")
    assert "batch_size:" not in least
    assert "precision" not in least


def test_sigterm_saves_first_and_the_next_attempt_ends_as_an_undisturbed_one(tmp_path):
    whole, history = run(tmp_path / "whole", *numbers(1))
    before = signal.getsignal(signal.SIGTERM)

    def preempt(row):
        if row.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted, match="epoch 3, after 1 of its 4 steps"):
        run(tmp_path / "parts", *numbers(1), on_epoch=preempt)
    assert signal.getsignal(signal.SIGTERM) is before
    resumed, after = run(tmp_path / "parts", *numbers(1))
    assert (after.resumed_after_epochs, after.resumed_after_steps) == (2, 1)
    resumed_at = json.loads((tmp_path / "parts/logs/resumed.json").read_text())
    assert resumed_text(**resumed_at) == "resumed from epoch 3, step 1"
    assert [row.loss for row in after.epochs] == pytest.approx([row.loss for row in history.epochs])
    for mine, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_request_at_the_very_end_is_not_lost(tmp_path):
    def preempt(row):
        if row.epoch == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted, match="after its last epoch"):
        run(tmp_path, *numbers(1), on_epoch=preempt)
    _, history = run(tmp_path, *numbers(1), on_epoch=lambda row: pytest.fail("trained again"))
    assert len(history.epochs) == 3


def test_a_second_sigterm_does_what_it_did_before():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with stop_on_sigterm() as request:
            os.kill(os.getpid(), signal.SIGTERM)
            assert (request.made, seen) == (True, [])
            os.kill(os.getpid(), signal.SIGTERM)
            assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_saving_keeps_to_its_share_of_the_time():
    now = [0.0]

    def cost(seconds):
        now[0] += seconds

    plan = SavingPlan(CheckpointPolicy(every_seconds=10), lambda: now[0])
    cost(9.9)
    assert not plan.after(1)
    cost(0.2)
    assert plan.after(1)
    plan.save(lambda: cost(3))
    cost(59)
    assert not plan.after(1)
    cost(2)
    assert plan.after(1)


def test_saving_by_steps_needs_no_clock():
    plan = SavingPlan(CheckpointPolicy(every_seconds=None, every_steps=3), lambda: 0.0)
    assert [plan.after(1) for _ in range(3)] == [False, False, True]
    plan.save(lambda: None)
    assert not plan.after(2)


def test_without_a_tpu_the_error_comes_at_once():
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"this machine has none.*TPU_NAME=grpc://host:8470"):
        make_strategy(StrategyName.TPU)
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"grpc://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ConfigError, match=f"nothing answers at {closed}"):
        make_strategy(StrategyName.TPU, environment=ClusterEnvironment(tpu=closed))
    with pytest.raises(ConfigError, match="should be local or grpc"):
        make_strategy(StrategyName.TPU, environment=ClusterEnvironment(tpu="my-tpu"))
    assert time.monotonic() - began < 20


def test_workers_without_tf_config_are_refused_with_how_to_start_them():
    with pytest.raises(ConfigError, match=r"TF_CONFIG names no workers.*trainer\.worker"):
        make_strategy(StrategyName.MULTI_WORKER)


def test_a_full_disk_is_no_lack_of_memory():
    """TensorFlow raises the same class for both."""
    with (
        pytest.raises(DiskFull, match=r"The disk of /dev/full .* is full. Make room there"),
        explained_failures(8, 1, 1, "float32"),
        tf.io.gfile.GFile("/dev/full", "w") as file,
    ):
        file.write("x" * 2**20)
