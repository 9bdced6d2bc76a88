"""Maps by a server: those of the same model in this process."""

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from components.mapping.config import MapConfig
from components.mapping.in_process import InProcessModel
from components.mapping.maps import map_scene
from components.mapping.served import ServedModel
from components.raster.image import ImageSpec
from pipelines.cli.map import command
from serving.client import ClientError
from serving.contract.contract import Contract
from tests.components.mapping.networks import contract_of, smooth_ground, write_scene
from tests.components.mapping.saved import save, save_that_tells_unknown
from tests.serving.conftest import wait_until

CONFIG = MapConfig(vectors=(), probabilities=True, mask_unknown=99)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "cover"
    known = np.stack([smooth_ground(64, 64, seed) for seed in range(1, 41)])[..., np.newaxis]
    contract = contract_of(size_px=64, scalings={})
    save_that_tells_unknown(base / "3", contract, known.astype(np.float32))
    return base


@pytest.fixture(scope="module")
def server(serve_for_module, base):
    return serve_for_module(base, model_name="cover")


def asked(address, name="cover"):
    """A model of the server, once it is loaded."""
    found = []

    def is_there():
        try:
            found.append(ServedModel.at(address, name))
        except ClientError:
            return False
        return True

    wait_until(is_there)
    return found[0]


def raster(found, name):
    with rasterio.open(found.folder / f"{name}.tif") as dataset:
        return dataset.read().astype(int)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_the_map_by_a_server_is_that_in_process(server, base, tmp_path, protocol, monkeypatch):
    # Two tiles of 64 pixels in a request.
    monkeypatch.setattr("components.mapping.served._REQUEST_BYTES", 2 * 64 * 64 * 2)
    pixels = smooth_ground(100, 250)
    pixels[:, 150:] = np.random.default_rng(0).integers(1, 1000, (100, 100))
    pixels[20:30, 50:70] = 0
    source = write_scene(tmp_path / "scene.tif", pixels)
    with asked(getattr(server, protocol)) as model:
        assert model.contract.classes == ("low", "middle", "high")
        assert model.version == (3 if protocol == "grpc" else model.version)
        served = map_scene(source, model, CONFIG, tmp_path / "served")
    own = map_scene(source, InProcessModel(base), CONFIG, tmp_path / "own")
    np.testing.assert_array_equal(raster(served, "unknown"), raster(own, "unknown"))
    one, other = raster(served, "probabilities"), raster(own, "probabilities")
    assert (one[:, :, 220:] == 255).all()  # the noise
    assert (one[:, 30:, :80] != 255).all()
    assert ((one == 255) == (other == 255)).all()
    assert abs(one - other).max() <= 1  # the server sends steps of 1/255, the map has 1/250


def test_the_command_asks_a_server(server, tmp_path):
    asked(server.grpc)
    write_scene(tmp_path / "scene.tif", smooth_ground(70, 70))
    arguments = [str(tmp_path / "scene.tif"), "-o", str(tmp_path / "maps"), "--model", "cover"]
    done = CliRunner().invoke(command, [*arguments, "--server", server.grpc])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "maps" / "scene" / "polygons.parquet").exists()


def test_photographs_are_mapped_in_pixels(serve, tmp_path):
    """A photograph larger than the model's input; the network decides by its red."""
    from PIL import Image

    base = tmp_path / "models" / "red"
    contract = Contract(
        task="segmentation",
        image=ImageSpec(height_px=64, width_px=64),
        classes=("dark", "middle", "red"),
    )
    save(base / "1", contract)
    picture = np.zeros((100, 130, 3), np.uint8)
    picture[20:80, 30:100, 0] = 255
    Image.fromarray(picture).save(tmp_path / "photo.png")
    served = CliRunner().invoke(
        command,
        [
            *(str(tmp_path / "photo.png"), "-o", str(tmp_path / "served"), "--model", "red"),
            *("--server", _ready(serve(base, model_name="red").grpc)),
        ],
    )
    assert served.exit_code == 0, served.output
    with rasterio.open(tmp_path / "served" / "photo" / "classes.tif") as dataset:
        classes, crs = dataset.read(1), dataset.crs
    assert crs is None
    assert classes.shape == (100, 130)
    assert (classes[24:76, 34:96] == 2).all()
    assert (classes[:16] == 0).all()


def _ready(address):
    asked(address, "red").__exit__()
    return address
