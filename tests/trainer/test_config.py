import pytest
from pydantic import ValidationError

from trainer.config import Backbone, SmallCnn, TrainConfig


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
