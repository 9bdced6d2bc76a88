"""Fine-tuning in stages, from examples to the model that is served."""

import json

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from components.raster.example import KEY
from tests.trainer.conftest import CLASSES, toy_example, toy_image
from trainer.losses.smoothing import SmoothedCrossentropy
from trainer.training.config import EarlyStopping, SmallCnn, Stage, TrainConfig
from trainer.training.failures import BAD_BATCH_FILE, TrainingError
from trainer.training.progress import Epoch, TrainingProgress
from trainer.training.splits import Splits
from trainer.training.stage_run import steps_at_once
from trainer.training.train import train

STAGES = (
    Stage(train="head", epochs=2, learning_rate=0.03),
    Stage(train="top", epochs=1, blocks=1, learning_rate=0.02),
    Stage(train="all", epochs=2, learning_rate=0.01, layer_decay=0.5),
)
CONFIG = TrainConfig(
    model=SmallCnn(filters=(4, 8), augment=False), batch_size=8, stages=STAGES, early_stopping=None
)


class Killed(Exception):
    """Stands for whatever ends a process."""


def run(pattern, image_spec, folder, config=CONFIG, on_epoch=None):
    splits = Splits((pattern("train"),), (pattern("eval"),), CLASSES)
    return train(splits, image_spec, config, f"{folder}/logs", f"{folder}/checkpoints", on_epoch)


def values(model):
    return {variable.path: variable.numpy() for variable in model.weights}


@pytest.mark.slow
def test_stages_follow_one_another_and_a_killed_one_is_taken_up(pattern, image_spec, tmp_path):
    whole = run(pattern, image_spec, tmp_path / "whole")
    rows = whole.history.epochs
    assert [(row.epoch, row.stage) for row in rows] == [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3)]
    # Cosine begins anew in each stage: the half of the peak after the first of two epochs.
    assert [row.learning_rate for row in rows] == pytest.approx([0.015, 0, 0, 0.005, 0], abs=1e-8)

    def kill(row):
        if row.epoch in (2, 4):
            raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            run(pattern, image_spec, tmp_path / "parts", on_epoch=kill)
    parts = run(pattern, image_spec, tmp_path / "parts")
    assert parts.history.resumed_after_epochs == 4
    losses = [[row.val_loss for row in each.history.epochs] for each in (parts, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for mine, theirs in zip(parts.model.weights, whole.model.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_stage_for_the_head_leaves_the_body_as_it_was(pattern, image_spec, tmp_path):
    # As good as no training at all: what it leaves is what a network begins with.
    least = Stage(train="head", epochs=1, learning_rate=1e-12)
    fresh = run(
        pattern, image_spec, tmp_path / "fresh", CONFIG.model_copy(update={"stages": (least,)})
    )
    trained = run(
        pattern, image_spec, tmp_path / "head", CONFIG.model_copy(update={"stages": STAGES[:1]})
    )
    changed = [
        number
        for number, (one, other) in enumerate(
            zip(trained.model.weights, fresh.model.weights, strict=True)
        )
        if not np.allclose(one.numpy(), other.numpy(), atol=1e-6)
    ]
    count = len(trained.model.weights)
    assert changed == [count - 2, count - 1], "the kernel and the bias of the head, and no others"


@pytest.mark.slow
def test_what_was_trained_in_bfloat16_is_served_in_float32(pattern, image_spec, tmp_path):
    config = CONFIG.model_copy(
        update={"stages": (), "epochs": 8, "learning_rate": 0.03, "precision": "mixed_bfloat16"}
    )
    trained = run(pattern, image_spec, tmp_path, config)
    policies = {layer.dtype_policy.name for layer in trained.model.layers}
    assert policies == {"float32"}
    assert trained.history.best.metrics["val_accuracy"] == 1.0


def curve(*rows):
    """A progress of (stage, val_loss)."""
    epochs = (Epoch(at, 1.0, loss, {}, 0.1, 1.0, stage) for at, (stage, loss) in enumerate(rows, 1))
    return TrainingProgress("val_loss", tuple(epochs))


def test_each_stage_has_patience_of_its_own():
    stages = [Stage(train="head", epochs=4), Stage(train="all", epochs=5)]
    stopping = EarlyStopping(patience=2)
    assert curve((1, 0.5), (1, 0.6)).stage_under_way(stages, stopping) == 1
    first_is_over = curve((1, 0.5), (1, 0.6), (1, 0.7))
    assert first_is_over.stage_under_way(stages, stopping) == 2
    # Worse than the best before it, but it has only begun.
    assert curve((1, 0.5), (1, 0.6), (1, 0.7), (2, 0.8)).stage_under_way(stages, stopping) == 2
    over = curve((1, 0.5), (1, 0.6), (1, 0.7), (2, 0.8), (2, 0.9))
    assert over.stage_under_way(stages, stopping) is None
    assert curve((1, 0.5), (1, 0.6)).stage_under_way(stages, None) == 1


def test_smoothing_spreads_a_share_of_the_truth():
    logits = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    truth = np.array([0, 1])
    log = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = np.full((2, 3), 0.3 / 3)
    wanted[[0, 1], truth] += 0.7
    expected = -(wanted * log).sum(axis=1).mean()
    assert float(SmoothedCrossentropy(0.3)(truth, logits)) == pytest.approx(expected, rel=1e-5)


def test_a_top_must_say_how_much_and_others_must_not():
    with pytest.raises(ValidationError, match="needs either blocks or share"):
        Stage(train="top", epochs=1)
    with pytest.raises(ValidationError, match="not for head"):
        Stage(train="head", epochs=1, blocks=2)
    with pytest.raises(ValidationError, match="give final_rate"):
        TrainConfig(schedule="exponential")


def test_steps_at_once_divide_an_epoch():
    assert steps_at_once(None, 50, tpu=False) == 1
    assert steps_at_once(None, 50, tpu=True) == 25
    assert steps_at_once(8, 50, tpu=False) == 5
    assert steps_at_once(8, 7, tpu=False) == 7


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"xla": "on"}, {"precision": "mixed_float16", "ema": 0.5}])
def test_it_learns_however_it_computes(pattern, image_spec, tmp_path, changes):
    config = CONFIG.model_copy(
        update={"stages": (), "epochs": 8, "learning_rate": 0.03, "warmup_epochs": 1.0, **changes}
    )
    trained = run(pattern, image_spec, tmp_path, config)
    assert trained.history.best.metrics["val_accuracy"] == 1.0
    assert trained.history.best.val_loss < 0.2


@pytest.mark.parametrize("cache", ["memory", pytest.param("none", marks=pytest.mark.slow)])
def test_a_loss_that_is_no_number_names_keys_where_the_body_is_run_once(
    image_spec, tmp_path, cache
):
    for split in ("train", "eval"):
        with tf.io.TFRecordWriter(str(tmp_path / split)) as writer:
            for number in range(16):
                image = toy_image(number % 2, np.random.default_rng(number))
                example = toy_example(image, number % 2, CLASSES[number % 2])
                example.features.feature[KEY].bytes_list.value.append(b"chip-%d" % number)
                writer.write(example.SerializeToString())
    stage = Stage(train="head", epochs=3, learning_rate=1e38)
    config = CONFIG.model_copy(update={"stages": (stage,), "cache": cache})
    with pytest.raises(TrainingError, match="lower learning_rate.*chip-"):
        run(lambda split: str(tmp_path / split), image_spec, tmp_path, config)
    result = json.loads((tmp_path / "logs" / BAD_BATCH_FILE).read_text())
    assert len(result["keys"]) == 8
    seed = (config.seed, result["epoch"] - 1)
    order = tf.random.experimental.stateless_shuffle(tf.range(16, dtype=tf.int64), seed).numpy()
    first = 8 * (result["batch"] - 1)
    assert result["keys"] == [f"chip-{number}" for number in order[first : first + 8]]
