"""Bands by position in the configuration of a training."""

from trainer.augment.config import Augment
from trainer.models.config import Backbone


def test_a_model_and_its_views_name_bands_by_position() -> None:
    model = Backbone.model_validate({"name": "MobileNetV2", "rgb": [3, "green", 1]})
    assert model.rgb == ("#3", "green", "#1")
    assert Augment.model_validate({"band_groups": [[1, 2]]}).band_groups == (("#1", "#2"),)
