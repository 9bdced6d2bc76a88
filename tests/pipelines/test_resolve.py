"""What stops a run before it starts."""

import pytest

from components.raster.errors import ConfigError
from pipelines.config import parse_config
from pipelines.resolve import resolve


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "no labels; a run trains on one class a tile"),
        (
            {"labels": {"kind": "shapes", "path": "x.gpkg"}, "target": {"to": "boxes"}},
            "the target boxes; a run trains on one class a tile",
        ),
    ],
)
def test_a_source_without_a_class_to_learn_is_told_at_once(source, message, tmp_path):
    tree = {
        "name": "tiles",
        "ingest": {
            "source": {"kind": "scenes", "uri": "scenes", **source},
            "image": {"bands": ["red"]},
        },
        "push": {"model_dir": "models"},
    }
    with pytest.raises(ConfigError, match=message):
        resolve(parse_config(tree, base_dir=str(tmp_path)))
