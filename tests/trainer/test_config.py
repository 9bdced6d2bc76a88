import pytest
from pydantic import ValidationError

from trainer.training.config import Backbone, SmallCnn, TrainConfig


def test_the_kind_chooses_the_model():
    config = TrainConfig.model_validate({"model": {"kind": "backbone", "name": "ResNet50"}})
    assert config.model == Backbone(name="ResNet50")
    assert TrainConfig().model == SmallCnn()


def test_json_and_back():
    config = TrainConfig(model=Backbone(arguments={"alpha": 0.35}), strategy="mirrored")
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "bad",
    [
        {"batchsize": 3},
        {"batch_size": 0},
        {"strategy": "multi"},
        {"model": {"kind": "small_cnn", "alpha": 0.35}},
        {"model": {"kind": "vit"}},
        {"model": {"kind": "small_cnn", "filters": []}},
    ],
)
def test_what_is_not_in_the_config_is_refused(bad):
    with pytest.raises(ValidationError):
        TrainConfig.model_validate(bad)


def test_weights_lie_beside_the_configuration():
    tree = {"model": {"kind": "backbone", "weights": "weights/body.h5"}}
    config = TrainConfig.model_validate(tree, context={"base_dir": "/project"})
    assert config.model.weights == "/project/weights/body.h5"
    again = TrainConfig.model_validate_json(config.model_dump_json())
    assert again.model.weights == "/project/weights/body.h5"
    for untouched in ("imagenet", None):
        tree["model"]["weights"] = untouched
        config = TrainConfig.model_validate(tree, context={"base_dir": "/project"})
        assert config.model.weights == untouched


def test_a_training_is_named_by_the_content_of_its_weights_and_not_by_how_it_is_watched(tmp_path):
    path = tmp_path / "body.weights.h5"

    def facts(content, **more):
        path.write_bytes(content)
        return TrainConfig(model=Backbone(weights=str(path)), **more).facts()

    assert facts(b"one") == facts(b"one", profile=(1, 2))
    assert facts(b"one") != facts(b"two")
    assert facts(b"one") != facts(b"one", seed=1)
