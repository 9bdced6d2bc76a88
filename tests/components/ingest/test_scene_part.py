"""A part of a scene crosses from the listing to a worker as JSON."""

from dataclasses import fields

from components.ingest.records.scene_part import ScenePart, part_lines, parts_of
from components.raster.scaling import Scaling
from components.raster.scene.scene import BandFile, SceneSource


def test_a_part_comes_to_a_worker_whole() -> None:
    file = BandFile(
        "a_ST_B10.tif", ("B10",), ("lwir11",), scalings=(Scaling(2e-5, -0.1),), aliases=("ST_B10",)
    )
    source = SceneSource("scene", (file,), "2022-06-01", "LANDSAT_9", 12.5)
    part = ScenePart(source, (0, 1), (2, 3), "0")
    for value in (file, source):
        untried = [it.name for it in fields(value) if getattr(value, it.name) == it.default]
        assert not untried, f"{type(value).__name__}: {untried} must be seen to cross as well"
    [line] = part_lines([part], 1)
    assert parts_of(line) == [part]
