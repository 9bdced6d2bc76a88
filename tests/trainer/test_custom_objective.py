"""A loss and metrics of the user's own in a training."""

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from tests.trainer.objectives import of_classes
from trainer.data.dataset import InMemory
from trainer.tasks.measures import OwnMeasures, make_loss, make_metric, require_fitting
from trainer.tasks.measures_config import CustomLoss, CustomTrainingMetric
from trainer.tasks.network import build_network
from trainer.training.config import SmallCnn, TrainConfig
from trainer.training.fit import fit
from trainer.tune.config import TuneConfig
from trainer.tune.objective import trial_objective

CLASSES = ("class 0", "class 1")
PRICES = {"class 0>class 1": 5.0}
COST = {"build": "skymill_example.losses:ConfusionCost", "arguments": {"prices": PRICES}}
MEAN = {"name": "cost", "build": "skymill_example.losses:MeanCost", "arguments": {"prices": PRICES}}
SPEC = ImageSpec(height_px=8, width_px=8)


def here(name):
    return f"{__name__}:{name}"


# Losses and metrics of the tests, which their paths name.


class OfTheBatch(keras.losses.Loss):
    def call(self, truth, outputs):
        return keras.ops.mean(outputs)


class Failing(keras.losses.Loss):
    def call(self, truth, outputs):
        return keras.ops.reshape(outputs, (-1, 5))


class ByClass(keras.metrics.SparseCategoricalAccuracy):
    def result(self):
        return super().result() * keras.ops.ones(3)


def bright(count):
    labels = np.arange(count) % 2
    noise = np.random.default_rng(1).integers(0, 150, (count, *SPEC.shape))
    return InMemory((noise + labels[:, None, None, None] * 60).astype(np.uint8), labels)


def customised(loss=None, metrics=()):
    own_loss = None if loss is None else CustomLoss.model_validate(loss)
    own_metrics = tuple(CustomTrainingMetric.model_validate(each) for each in metrics)
    return OwnMeasures(of_classes(2), CLASSES, own_loss, own_metrics)


def test_the_example_computes_what_a_person_would():
    logits = np.log(np.float32([[0.75, 0.25], [0.5, 0.5]]))
    truth = np.int64([0, 1])
    loss = make_loss(CustomLoss.model_validate(COST), "key", CLASSES)
    # -log p of the truth, and the chance of the other answer times its price: 5 and 1
    wanted = [-np.log(0.75) + 0.25 * 5, -np.log(0.5) + 0.5 * 1]
    np.testing.assert_allclose(loss.call(truth, logits), wanted, rtol=1e-5)
    metric = make_metric(CustomTrainingMetric.model_validate(MEAN), "key", CLASSES)
    metric.update_state(np.int64([0, 0, 1, 1]), np.float32([[2, 0], [0, 2], [2, 0], [0, 2]]))
    assert (metric.name, float(metric.result())) == ("cost", (0 + 5 + 1 + 0) / 4)


def test_a_training_minimises_the_loss_and_watches_the_metric(tmp_path):
    config = TrainConfig.model_validate(
        {
            "model": {"kind": "small_cnn", "filters": (4, 8), "augment": False},
            "loss": COST,
            "metrics": [MEAN],
            "batch_size": 8,
            "epochs": 5,
            "learning_rate": 0.01,
            "early_stopping": {"monitor": "val_cost"},
        }
    )
    measures = OwnMeasures(of_classes(2), CLASSES, config.loss, config.metrics)
    keras.utils.set_random_seed(1)
    model = build_network(config.model, SPEC, of_classes(2)).trained()
    train, held_out = bright(40), bright(12)
    require_fitting(measures, model, held_out)
    history = fit(model, measures, train, held_out, config, f"{tmp_path}/l", f"{tmp_path}/c")
    first, best = history.epochs[0], history.best
    assert history.epochs[-1].loss < 0.6 * first.loss
    assert best.metrics["val_cost"] == min(row.metrics["val_cost"] for row in history.epochs)
    outputs = keras.ops.convert_to_tensor(model(held_out.columns[0], training=False))
    expected = measures.loss().call(held_out.columns[1], outputs)
    assert best.val_loss == pytest.approx(float(np.mean(expected)), rel=1e-4)


def test_a_search_knows_which_way_a_metric_is_better():
    train = TrainConfig.model_validate({"metrics": [MEAN]})
    space = {"space": {"batch_size": {"values": [8]}}}
    found = trial_objective(TuneConfig.model_validate({**space, "objective": "val_cost"}), train)
    assert (found.name, found.direction) == ("val_cost", "min")
    found = trial_objective(TuneConfig.model_validate({**space, "objective": "val_gain"}), train)
    assert found.direction == "max"


@pytest.mark.parametrize(
    ("loss", "metrics", "message"),
    [
        (
            here("OfTheBatch"),
            (),
            r"loss.build: .*returns float32 \(\) for targets float32 \(2,\)",
        ),
        (here("Failing"), (), r"loss.build: fails for targets float32 \(2,\) and outputs float32"),
        ("json:JSONEncoder", (), "loss.build: .*must be a keras.losses.Loss of Keras 3"),
        (
            "keras.losses:mean_squared_error",
            (),
            "loss.build: .*needs the argument 'y_true' and 'y_pred'; its arguments are",
        ),
        (None, ("json:JSONEncoder",), "metrics.0.build: .*must be a keras.metrics.Metric"),
        (
            None,
            ("keras.metrics:SparseCategoricalAccuracy", here("ByClass")),
            r"metrics.1.build: the result .*one num",
        ),
    ],
)
def test_what_cannot_be_learnt_with_is_reported_before_the_first_step(loss, metrics, message):
    measures = customised(
        loss and {"build": loss},
        [{"name": f"own_{number}", "build": build} for number, build in enumerate(metrics)],
    )
    model = build_network(SmallCnn(filters=(4,)), SPEC, of_classes(2)).trained()
    with pytest.raises(ConfigError, match=f"^train.{message}"):
        require_fitting(measures, model, bright(4))


def test_a_metric_has_a_name_of_its_own():
    with pytest.raises(ValidationError, match="two metrics have the same name: cost, cost"):
        TrainConfig.model_validate({"metrics": [MEAN, MEAN]})
    measures = customised(metrics=[{**MEAN, "name": "accuracy"}])
    model = build_network(SmallCnn(filters=(4,)), SPEC, of_classes(2)).trained()
    with pytest.raises(ConfigError, match="single_label has a metric accuracy already"):
        require_fitting(measures, model, bright(4))


@pytest.mark.parametrize(
    ("task", "more", "idle"),
    [
        ("single_label", {"label_smoothing": 0.1}, "label_smoothing"),
        ("single_label", {"imbalance": {"focal_gamma": 2}}, "imbalance.focal_gamma"),
        ("segmentation", {"task": {"name": "segmentation", "dice": 1}}, "train.task.dice"),
        ("multi_label", {"imbalance": {"class_weights": "inverse"}}, "imbalance.class_weights"),
    ],
)
def test_settings_of_the_loss_that_it_replaces_are_refused(task, more, idle):
    def wrong():
        try:
            return TrainConfig.model_validate({"loss": COST, **more}).conflict(task)
        except ValidationError as error:
            return str(error)

    assert f"{idle} cannot change: leave them out" in (wrong() or "")


def test_class_weights_of_images_stand_beside_it():
    config = TrainConfig.model_validate(
        {"loss": COST, "imbalance": {"class_weights": "inverse"}, "early_stopping": None}
    )
    assert config.conflict("single_label") is None


def test_a_changed_package_is_another_training():
    code = TrainConfig.model_validate({"loss": COST, "metrics": [MEAN]}).facts()["code"]
    assert set(code) == {"train.loss.build", "train.metrics.0.build"}
    assert "code" not in TrainConfig().facts()
