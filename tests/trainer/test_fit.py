import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.raster.errors import DataError
from tests.trainer.objectives import of_classes
from trainer.data.dataset import InMemory
from trainer.tasks.network import build_network
from trainer.training.config import EarlyStopping, SmallCnn, TrainConfig
from trainer.training.failures import TrainingError
from trainer.training.fit import fit
from trainer.training.log import TrainingLog
from trainer.training.progress import TrainingProgress, resumed_text

SIDE_PX = 8
OBJECTIVE = of_classes(2)
CONFIG = TrainConfig(
    model=SmallCnn(filters=(8,), dropout=0.1),
    batch_size=8,
    epochs=5,
    learning_rate=0.01,
    early_stopping=None,
    seed=4,
)


class Killed(Exception):
    """Stands for whatever ends a process between two epochs."""


def toy(examples, seed):
    """Bright and dark noise: label 1 is brighter than label 0."""
    random = np.random.default_rng(seed)
    labels = np.arange(examples) % 2
    noise = random.integers(0, 150, (examples, SIDE_PX, SIDE_PX, 3))
    return InMemory((noise + labels[:, None, None, None] * 60).astype(np.uint8), labels)


TRAIN, EVAL = toy(40, 1), toy(13, 2)


def model_of(config, image_spec):
    keras.utils.set_random_seed(config.seed)
    spec = image_spec.model_copy(update={"height_px": SIDE_PX, "width_px": SIDE_PX})
    return build_network(config.model, spec, OBJECTIVE).trained()


def run(config, image_spec, folder, on_epoch=None, train=TRAIN):
    """A model fitted in a folder, and its history."""
    model = model_of(config, image_spec)
    history = fit(
        model, OBJECTIVE, train, EVAL, config, f"{folder}/logs", f"{folder}/checkpoints", on_epoch
    )
    return model, history


@pytest.fixture(scope="module")
def undisturbed(image_spec, tmp_path_factory):
    """The folder, the model and the history of one whole fit."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, *run(CONFIG, image_spec, folder)


def test_it_learns_the_toy(undisturbed):
    _, _, history = undisturbed
    assert history.best.metrics["val_accuracy"] == 1.0
    assert history.epochs[-1].loss < 0.5 * history.epochs[0].loss
    assert (history.steps_per_epoch, history.batch_size, history.replicas) == (5, 8, 1)


def test_the_logs_tell_each_epoch(undisturbed):
    folder, _, history = undisturbed
    rows = [json.loads(line) for line in (folder / "logs/progress.jsonl").read_text().splitlines()]
    assert rows == [{**row.to_json(), "epochs": 5} for row in history.epochs]
    written = json.loads((folder / "logs/history.json").read_text())
    assert written == json.loads(json.dumps(history.to_json()))


def values_in(event_file):
    """All that an event file holds, each with its step."""
    for event in tf.compat.v1.train.summary_iterator(str(event_file)):
        for value in event.summary.value:
            yield event.step, value


def test_event_files_hold_the_curve(undisturbed):
    folder, _, history = undisturbed
    (path,) = (folder / "logs/validation").iterdir()
    found = {}
    for step, value in values_in(path):
        assert value.metadata.plugin_data.plugin_name == "scalars"
        found[value.tag, step] = float(tf.make_ndarray(value.tensor))
    assert found["epoch_loss", 3] == pytest.approx(history.epochs[2].val_loss)
    assert len(found) == 2 * 5


def test_a_new_folder_gets_the_curve_so_far_and_an_old_one_nothing_twice(undisturbed, tmp_path):
    _, _, history = undisturbed
    progress = TrainingProgress(epochs=history.epochs[:3])
    for _ in range(2):
        TrainingLog(str(tmp_path), 5, None).begin(progress)
    written = [found for path in (tmp_path / "validation").iterdir() for found in values_in(path)]
    assert [step for step, value in written if value.tag == "epoch_loss"] == [1, 2, 3]


def test_cosine_ends_at_zero_and_constant_stays(undisturbed, image_spec, tmp_path):
    _, _, history = undisturbed
    assert history.epochs[0].learning_rate == pytest.approx(0.01 * (1 + np.cos(np.pi / 5)) / 2)
    assert history.epochs[-1].learning_rate == pytest.approx(0, abs=1e-8)
    config = CONFIG.model_copy(update={"schedule": "constant", "epochs": 2})
    _, constant = run(config, image_spec, tmp_path)
    assert [row.learning_rate for row in constant.epochs] == pytest.approx([0.01, 0.01])


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("sgd", marks=pytest.mark.slow)])
def test_a_resumed_fit_ends_where_an_undisturbed_one_does(
    undisturbed, image_spec, tmp_path, optimizer
):
    config = CONFIG.model_copy(update={"optimizer": optimizer})
    whole = undisturbed[1:] if optimizer == "adamw" else run(config, image_spec, tmp_path / "whole")

    def kill(row):
        if row.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        run(config, image_spec, tmp_path, on_epoch=kill)
    assert not (tmp_path / "logs/resumed.json").exists()
    seen = []
    resumed, history = run(
        config, image_spec, tmp_path, on_epoch=lambda row: seen.append(row.epoch)
    )
    assert seen == [3, 4, 5]
    assert history.resumed_after_epochs == 2
    note = json.loads((tmp_path / "logs/resumed.json").read_text())
    assert resumed_text(**note) == "resumed from epoch 2"
    for mine, theirs in zip(resumed.get_weights(), whole[0].get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    losses = [[row.val_loss for row in each.epochs] for each in (history, whole[1])]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    lines = (tmp_path / "logs/progress.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5]


def test_steps_that_do_not_return_to_python_teach_the_same(undisturbed, image_spec, tmp_path):
    _, one_by_one, _ = undisturbed
    together, _ = run(CONFIG.model_copy(update={"steps_per_execution": 5}), image_spec, tmp_path)
    for mine, theirs in zip(together.get_weights(), one_by_one.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_a_finished_fit_is_not_run_again(undisturbed, image_spec):
    folder, model, history = undisturbed
    again, same = run(CONFIG, image_spec, folder, on_epoch=lambda row: pytest.fail("ran again"))
    assert same.epochs == history.epochs
    for mine, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_early_stopping_waits_its_patience_and_keeps_the_best_weights(image_spec, tmp_path):
    config = CONFIG.model_copy(
        update={
            "epochs": 40,
            "schedule": "constant",
            "learning_rate": 0.1,
            "early_stopping": EarlyStopping(patience=2),
        }
    )
    model, history = run(config, image_spec, tmp_path)
    assert history.stopped_early
    assert len(history.epochs) == history.best.epoch + 2
    assert history.best.val_loss == min(row.val_loss for row in history.epochs)
    loss = model.evaluate(EVAL.once(8), verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(history.best.val_loss, rel=1e-5)


def test_a_resumed_fit_remembers_the_best_epoch_before_the_interruption(image_spec, tmp_path):
    config = CONFIG.model_copy(update={"schedule": "constant", "epochs": 2})
    model, _ = run(config, image_spec, tmp_path)
    misled = InMemory(TRAIN.columns[0], 1 - TRAIN.columns[1])
    config = config.model_copy(update={"epochs": 4})
    resumed, history = run(config, image_spec, tmp_path, train=misled)
    assert history.best.epoch <= 2
    assert history.epochs[-1].val_loss > history.best.val_loss
    for mine, theirs in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("at_once", [1, 5])
def test_a_loss_that_is_no_number_stops_with_a_remedy(image_spec, tmp_path, at_once):
    config = CONFIG.model_copy(
        update={"optimizer": "sgd", "learning_rate": 1e30, "steps_per_execution": at_once}
    )
    with pytest.raises(TrainingError, match=r"epoch 1, batch 2; lower learning_rate"):
        run(config, image_spec, tmp_path)


def test_a_split_smaller_than_a_batch_is_one_batch(image_spec, tmp_path):
    _, history = run(CONFIG, image_spec, tmp_path, train=toy(6, 1))
    assert (history.batch_size, history.steps_per_epoch) == (6, 1)


def test_the_number_of_steps_may_be_given(image_spec, tmp_path):
    config = CONFIG.model_copy(update={"steps_per_epoch": 2, "schedule": "constant", "epochs": 3})
    whole, history = run(config, image_spec, tmp_path / "whole")
    assert history.steps_per_epoch == 2
    # Two steps are not a whole pass over five batches; what comes next must not be repeated.
    run(config.model_copy(update={"epochs": 2}), image_spec, tmp_path / "parts")
    parts, _ = run(config, image_spec, tmp_path / "parts")
    for mine, theirs in zip(parts.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_an_empty_eval_split_is_reported(image_spec, tmp_path):
    model = model_of(CONFIG, image_spec)
    with pytest.raises(DataError, match="The eval split has 0 examples for 1 replicas"):
        fit(
            model,
            OBJECTIVE,
            TRAIN,
            toy(0, 1),
            CONFIG,
            f"{tmp_path}/logs",
            f"{tmp_path}/checkpoints",
        )


def test_batches_that_make_one_update_teach_what_a_large_one_does(image_spec, tmp_path):
    """Rate, warm-up, average of the weights and Adam's own count go by updates."""
    plain = SmallCnn(filters=(8,), batch_norm=False, dropout=0)
    large = CONFIG.model_copy(
        update={"model": plain, "batch_size": 16, "warmup_epochs": 1.5, "ema": 0.5}
    )
    parts = large.model_copy(update={"batch_size": 8, "accumulate": 2})
    (model, history), (same, other) = (
        run(config, image_spec, tmp_path / f"{config.accumulate}") for config in (large, parts)
    )
    assert (other.steps_per_epoch, other.batch_size) == (history.steps_per_epoch, 8) == (2, 8)
    for mine, theirs in zip(other.epochs, history.epochs, strict=True):
        assert mine.learning_rate == theirs.learning_rate
        for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
            assert mine.value(name) == pytest.approx(theirs.value(name), rel=1e-4)
    for mine, theirs in zip(same.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)


def test_an_update_needs_an_image_for_each_of_its_batches(image_spec, tmp_path):
    config = CONFIG.model_copy(update={"accumulate": 41})
    with pytest.raises(DataError, match="40 examples for 1 replicas, in 41 batches per update"):
        run(config, image_spec, tmp_path)


def test_patience_goes_on_where_a_killed_fit_left_it(image_spec, tmp_path):
    still = CONFIG.model_copy(
        update={
            "model": SmallCnn(filters=(8,), batch_norm=False, dropout=0),
            "learning_rate": 1e-20,  # nothing is learnt, so the first epoch stays the best
            "epochs": 12,
            "early_stopping": EarlyStopping(patience=4),
        }
    )

    def kill(row):
        if row.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        run(still, image_spec, tmp_path, kill)
    _, history = run(still, image_spec, tmp_path)
    assert (history.resumed_after_epochs, history.stopped_early) == (3, True)
    assert (history.best.epoch, len(history.epochs)) == (1, 5)
