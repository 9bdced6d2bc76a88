"""Search spaces: faults reported when a configuration is read, and values of the trainer."""

import subprocess
import sys

import pytest

from components.raster.errors import ConfigError
from pipelines.config.tree import PipelineConfig, parse_config
from trainer.training.config import Backbone, SmallCnn, TrainConfig
from trainer.tune.space import apply, decode, encode


def parsed(tune: dict, train: dict | None = None) -> PipelineConfig:
    tree = {
        "name": "roofs",
        "ingest": {"source": {"kind": "folders", "uri": "roofs"}},
        "train": train or {},
        "tune": tune,
        "push": {"model_dir": "models"},
    }
    return parse_config(tree, "/data")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"learning_rat": {"min": 1e-4, "max": 1}},
            "unknown field of train (did you mean learning_rate?)",
        ),
        (
            {"model.dropuot": {"min": 0, "max": 0.5}},
            "unknown field of train.model (did you mean model.dropout?)",
        ),
        (
            {"model.trainable": {"values": ["all"]}},
            "tune.space.model.trainable: 'model.trainable' is not accepted: unknown field",
        ),
        (
            {"model.dropout": {"min": 0, "max": 1}},
            "tune.space.model.dropout: 1 is not accepted: Input should be less than 1",
        ),
        (
            {"optimizer": {"values": ["adam", "lion"]}},
            "tune.space.optimizer: 'lion' is not accepted: Input should be 'adamw'",
        ),
        (
            {"batch_size": {"min": 8, "max": 64, "step": 4.5}},
            "tune.space.batch_size: 12.5 is not accepted: Input should be a valid integer",
        ),
        (
            {"schedule": {"values": ["constant", "exponential"]}},
            "tune.space.schedule: 'exponential' is not accepted: schedule: exponential never",
        ),
        ({"learning_rate.x": "bool"}, "train.learning_rate is None and has no x"),
        ({"model": {"values": [{"kind": "small_cnn"}]}, "model.dropout": "bool"}, "as a whole"),
        ({"learning_rate": {"min": 1}}, "give min and max, or values, or bool"),
        ({"learning_rate": {"min": 2, "max": 1}}, "min is 2, which is not below max, 1"),
        ({"learning_rate": {"min": 0, "max": 1, "sampling": "log"}}, "needs a min above 0"),
        ({"learning_rate": {"min": 1, "max": 2, "values": [1]}}, "either values, or min and max"),
        ({"learning_rate": {"mni": 1, "max": 2}}, "tune.space.learning_rate.mni: unknown key"),
        ({}, "at least 1 item"),
    ],
)
def test_what_the_trainer_would_refuse_is_reported_when_the_configuration_is_read(space, message):
    with pytest.raises(ConfigError) as caught:
        parsed({"space": space})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ({"algorithm": "hyperband", "trials": 5}, "leave trials out"),
        ({"algorithm": "random", "factor": 4}, "factor and iterations are hyperband's"),
        ({"algorithm": "grid"}, "tune.algorithm: 'grid' is not accepted"),
    ],
)
def test_what_an_algorithm_has_no_use_for_is_refused(tune, message):
    with pytest.raises(ConfigError) as caught:
        parsed({"space": {"batch_size": {"values": [8, 16]}}, **tune})
    assert message in str(caught.value)
    epochs = {"algorithm": "hyperband", "space": {"epochs": {"values": [8, 16]}}}
    with pytest.raises(ConfigError, match="chooses the epochs itself"):
        parsed(epochs)


@pytest.mark.parametrize(
    ("train", "tune", "message"),
    [
        ({"strategy": "multi_worker"}, {}, "train.strategy cannot be multi_worker"),
        ({}, {"space": {"strategy": {"values": ["auto"]}}}, "take strategy out of space"),
        (
            {"ensemble": {}},
            {"space": {"ensemble.members": {"values": [2, 3]}}},
            "which ensemble.members does not change",
        ),
        ({}, {"space": {"ensemble": {"values": [{"members": 2}, None]}}}, "take it out of space"),
        ({"stages": [{"train": "all", "epochs": 2}]}, {"epochs": 3}, "leave tune.epochs out"),
    ],
)
def test_what_no_trial_could_be_is_refused(train, tune, message):
    with pytest.raises(ConfigError) as caught:
        parsed({"space": {"batch_size": {"values": [8, 16]}}, **tune}, train)
    assert message in str(caught.value)


def test_every_finding_is_reported_at_once():
    with pytest.raises(ConfigError, match="3 things to correct"):
        parsed({"space": {"seeed": "bool", "model.dropout": {"min": -1, "max": 2}}})


def test_a_free_mapping_takes_any_argument_and_locations_are_those_of_the_configuration():
    space = {
        "model.arguments.alpha": {"values": [0.35, 0.5]},
        "model.weights": {"values": ["weights.h5", "imagenet", None]},
    }
    config = parsed({"space": space}, {"model": {"kind": "backbone"}})
    assert config.tune.space["model.weights"].values == ("/data/weights.h5", "imagenet", None)
    values = {"model.arguments.alpha": 0.35, "model.weights": None, "learning_rate": 0.01}
    tuned = apply(config.train, values)
    assert tuned.model == Backbone(arguments={"alpha": 0.35}, weights=None)
    assert tuned == config.train.model_copy(update={"model": tuned.model, "learning_rate": 0.01})


def test_whole_models_can_be_searched():
    models = ({"kind": "small_cnn", "filters": [8]}, {"kind": "backbone", "weights": None})
    config = parsed({"space": {"model": {"values": models}}})
    tuned = [apply(config.train, {"model": value}) for value in config.tune.space["model"].values]
    assert [one.model for one in tuned] == [SmallCnn(filters=(8,)), Backbone(weights=None)]


def test_a_configuration_goes_around_as_it_travels_to_a_cluster():
    space = {
        "learning_rate": {"min": 1e-4, "max": 1e-1, "sampling": "log"},
        "model.batch_norm": "bool",
        "model.filters": {"values": [[8, 16], [16]]},
    }
    config = parsed({"algorithm": "hyperband", "factor": 4, "space": space})
    again = parse_config(config.model_dump(mode="json", by_alias=True), "/")
    assert again.tune == config.tune


@pytest.mark.parametrize(
    "values",
    [[1, 2], [0.5, 2.5], ["a", "b"], [True, False], [[8], [8, 16]], [None, 0.1], ["json:1", "x"]],
)
def test_any_value_comes_back_from_kerastuner_s_types(values):
    encoded = encode(values)
    assert len({type(value) for value in encoded}) == 1
    assert [decode({"a": value, "tuner/epochs": 3}) for value in encoded] == [
        {"a": value} for value in values
    ]
    assert decode({"a": encode([1, 0.5])[0]}) == {"a": 1.0}


def test_a_configuration_is_checked_without_tensorflow():
    code = (
        "import sys; import pipelines.config.tree, trainer.tune.results; "
        "print([m for m in ('tensorflow', 'keras', 'keras_tuner', 'matplotlib') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_values_that_cannot_stand_together_are_known_only_to_the_trial():
    assert apply(TrainConfig(), {}) == TrainConfig()
    with pytest.raises(KeyError):
        apply(TrainConfig(), {"nowhere.at.all": 1})
