"""Faults that stop a run before it starts."""

import pytest

from components.raster.errors import ConfigError
from pipelines.config.tree import parse_config
from pipelines.definition.learnable import require_learnable


def test_a_source_with_nothing_to_learn_is_reported_at_once(tmp_path):
    tree = {
        "name": "tiles",
        "ingest": {
            "source": {"kind": "scenes", "uri": "scenes"},
            "image": {"bands": ["red"]},
        },
        "push": {"model_dir": "models"},
    }
    with pytest.raises(ConfigError, match="no labels; a run needs truth to learn"):
        require_learnable(parse_config(tree, base_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "backbone", "name": "MobileNet2"}, "'MobileNet2'.*MobileNetV2"),
        ({"kind": "preset", "preset": "resnet18"}, "'resnet18'.*resnet_18"),
    ],
)
def test_a_network_that_has_no_such_name_is_reported_at_once(tmp_path, model, message):
    tree = {
        "name": "photos",
        "ingest": {"source": {"kind": "folders", "uri": "photos"}},
        "train": {"model": model},
        "push": {"model_dir": "models"},
    }
    with pytest.raises(ConfigError, match=message):
        require_learnable(parse_config(tree, base_dir=str(tmp_path)))


def test_one_class_alone_is_reported_at_once(tmp_path):
    tree = {
        "name": "photos",
        "ingest": {"source": {"kind": "folders", "uri": "photos"}, "classes": ["roof"]},
        "push": {"model_dir": "models"},
    }
    with pytest.raises(ConfigError, match="roof is the only class"):
        require_learnable(parse_config(tree, base_dir=str(tmp_path)))
