"""The examples in docstrings print the output below them."""

import doctest
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

from scripts.docs.python import SECTIONS, found
from scripts.imports import PACKAGES
from tests.components.mapping.networks import contract_of, smooth_ground, write_scene
from tests.components.mapping.saved import save
from tests.kubeflow.api_server.server import api_server
from tests.kubeflow.tiny import tiny_spec
from tests.serving.conftest import RunningServer
from tests.serving.conftest import colours as colours
from tests.serving.conftest import serve_for_module as serve_for_module
from tests.serving.conftest import serve_versions as serve_versions

ROOT = Path(__file__).resolve().parent.parent


def modules_with_examples() -> list[str]:
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    found = (path.relative_to(ROOT) for path in paths if ">>> " in path.read_text())
    return [".".join(path.with_suffix("").parts) for path in found]


@pytest.fixture
def photographs(serve_versions: Callable[..., RunningServer], colours: Path) -> dict[str, Any]:
    """A server of a model, and an image for it."""
    with rasterio.MemoryFile() as file:
        with file.open(driver="PNG", width=8, height=8, count=3, dtype="uint8") as dataset:
            dataset.write(np.full((8, 8), 255, np.uint8), 3)
        blue = bytes(file.getbuffer())
    server = serve_versions({1: colours}, model_name="colours")
    return {"address": server.grpc, "blue_png": blue}


@pytest.fixture
def scene(tmp_path: Path) -> dict[str, Any]:
    """A scene of two bands, 96 rows of 64 pixels of 10 m."""
    path, place = tmp_path / "made.tif", from_origin(500_000, 5_300_000, 10, 10)
    profile = {"crs": "EPSG:32632", "transform": place, "dtype": "uint16", "count": 2}
    with rasterio.open(path, "w", driver="GTiff", height=96, width=64, **profile) as dataset:
        dataset.write(np.ones((2, 96, 64), np.uint16))
        dataset.descriptions = ("red", "nir08")
    return {"scene_file": str(path)}


@pytest.fixture
def maps(serve_versions: Callable[..., RunningServer], tmp_path: Path) -> dict[str, Any]:
    """A server of a segmentation model, and a scene for it."""
    model = save(tmp_path / "saved", contract_of(scalings={}))
    write_scene(tmp_path / "north.tif", smooth_ground(64, 64))
    server = serve_versions({1: model}, model_name="cover")
    return {"address": server.grpc, "scene_file": str(tmp_path / "north.tif"), "output": tmp_path}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A server of Kubeflow Pipelines, and a package for it."""
    package = tmp_path / "package.yaml"
    package.write_text(yaml.safe_dump(tiny_spec()))
    with api_server() as running:
        yield {"endpoint": running.url, "package": str(package)}


#: Names that a module's examples use and do not define: what stands outside the program.
_GIVEN = {
    "serving.client.client": ("photographs", "scene"),
    "components.raster.scene.folders": ("scene",),
    "components.raster.scene.probe": ("scene",),
    "components.raster.tiles.reading": ("scene",),
    "components.raster.tiles.view": ("scene",),
    "components.mapping.maps": ("maps",),
    "pipelines.kubeflow.client.session": ("cluster",),
}


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_print_what_they_show(name: str, request: pytest.FixtureRequest) -> None:
    given: dict[str, Any] = {}
    for fixture in _GIVEN.get(name, ()):
        given |= request.getfixturevalue(fixture)
    result = doctest.testmod(
        importlib.import_module(name), extraglobs=given, optionflags=doctest.ELLIPSIS
    )
    assert result.attempted
    assert not result.failed


def test_what_people_call_has_an_example() -> None:
    names = [name for section in SECTIONS.values() for name in section]
    assert [name for name in names if not _has_example(found(name))] == []


def _has_example(thing: Any) -> bool:
    parts = vars(thing).values() if inspect.isclass(thing) else ()
    places = (thing, *parts, inspect.getmodule(thing))
    documented = any(">>> " in (inspect.getdoc(place) or "") for place in places)
    return documented or (inspect.isclass(thing) and issubclass(thing, Exception))
