"""A model of four bands on the embedded server, asked about GeoTIFFs over both protocols."""

import json

import keras
import numpy as np
import pytest
import rasterio
import tensorflow as tf
from click.testing import CliRunner
from rasterio.transform import from_origin

from components.raster.image import ImageSpec
from components.raster.payload import encode_payload
from pipelines.cli.predict import command
from serving.client import BadImage, connect, read_image
from serving.client.raster_reading import RasterReading
from serving.contract.contract import Contract
from serving.contract.needs import ModelNeeds, TrainedTiles
from serving.graph.signatures import signatures
from tests.serving.conftest import copy_version, wait_until
from trainer.data.bands import BandScale
from trainer.tasks.network import build_network
from trainer.tasks.single_label import SingleLabel
from trainer.training.config import SmallCnn
from trainer.training.export import export

BANDS = ("blue", "green", "red", "nir")
SPEC = ImageSpec(height_px=16, width_px=16, bands=BANDS)
CLASSES = ("water", "forest", "crop")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A SavedModel whose answers differ from tile to tile."""
    keras.utils.set_random_seed(2)
    scale = BandScale((1000.0,) * 4, (300.0,) * 4)
    served = build_network(SmallCnn(filters=(8,)), SPEC, SingleLabel(CLASSES), scale).served()
    folder = tmp_path_factory.mktemp("raster") / "model"
    tiles = TrainedTiles((16, 16), (16, 16), (10, 10))
    export(served, Contract(image=SPEC, classes=CLASSES, tiles=tiles), str(folder))
    return folder


@pytest.fixture(scope="module")
def server(serve_for_module, model, tmp_path_factory):
    base = tmp_path_factory.mktemp("served") / "m"
    base.mkdir()
    copy_version(model, base, 1)
    server = serve_for_module(base)
    with connect(server.rest, model="m") as client:
        wait_until(lambda: client.served_version() == 1)
    return server


@pytest.fixture(scope="module")
def chips(tmp_path_factory):
    """Files without names of bands, their pixels in another order than the model's, and holes."""
    folder = tmp_path_factory.mktemp("chips")
    random = np.random.default_rng(0)
    found = {}
    for number in range(5):
        pixels = random.integers(1, 3000, (16, 16, 4)).astype(np.uint16)
        pixels[:number, :] = 0
        with rasterio.open(
            folder / f"{number}.tif",
            "w",
            driver="GTiff",
            height=16,
            width=16,
            count=4,
            dtype="uint16",
            nodata=0,
            crs="EPSG:32632",
            transform=from_origin(500_000, 5_300_000, 10, 10),
        ) as dataset:
            dataset.write(pixels[:, :, ::-1].transpose(2, 0, 1))
        found[folder / f"{number}.tif"] = (pixels, pixels.all(axis=2))
    return found


@pytest.fixture(scope="module")
def in_process(model, chips):
    """Returns the model's answers in this process to payloads of the same pixels."""
    payloads = [encode_payload(pixels, BANDS, valid) for pixels, valid in chips.values()]
    ask = tf.saved_model.load(model).signatures["serving_default"]
    probabilities = ask(image_bytes=tf.constant(payloads))["probabilities"].numpy()
    assert np.ptp(probabilities, axis=0).max() > 1e-3
    return [dict(zip(CLASSES, row.tolist(), strict=True)) for row in probabilities]


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_geotiff_has_the_answer_that_the_model_gives_here(server, chips, in_process, protocol):
    reading = RasterReading(band_names=BANDS[::-1])
    with connect(getattr(server, protocol), model="m") as client:
        results = list(client.predict_files(chips, batch_size=2, rasters=reading))
    assert [result.path for result in results] == list(chips)
    for result, wanted in zip(results, in_process, strict=True):
        assert result.prediction.probabilities == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_wrong_bands_are_named_and_cost_no_other_file(server, chips, protocol, tmp_path):
    wrong, right = list(chips)[:2]
    reading = RasterReading(band_names=("blue", "green", "red", "pan"))
    with connect(getattr(server, protocol), model="m") as client:
        [result] = client.predict_files([wrong], rasters=reading)
        assert result.error == (
            "Scene '0.tif' was rejected (unknown_band): no band 'nir'; it has blue, green, red, "
            "pan. Name one of these. With skymill predict: --bands, --band-names; in Python: "
            "RasterReading."
        )
        with pytest.raises(BadImage, match="wrong_bands: the model needs nir, the tile has blue"):
            client.predict([read_image(wrong, reading)])
        with pytest.raises(BadImage, match=r"takes payloads of tiles with the bands blue, green"):
            client.predict([b"\xff\xd8\xff a photograph, say, as a user has them"])
        (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff a photograph, say")
        reading = RasterReading(band_names=BANDS)
        first, second = client.predict_files([tmp_path / "photo.jpg", right], rasters=reading)
        assert first.prediction is None
        assert second.prediction is not None


@pytest.fixture(scope="module")
def old_server(serve_for_module, tmp_path_factory):
    """Serves a model in the form of releases that did not publish contracts."""
    keras.utils.set_random_seed(2)
    scale = BandScale((1000.0,) * 4, (300.0,) * 4)
    served = build_network(SmallCnn(filters=(8,)), SPEC, SingleLabel(CLASSES), scale).served()
    base = tmp_path_factory.mktemp("served") / "m"
    archive = keras.export.ExportArchive()
    archive.track(served)
    first = signatures(
        lambda pixels: served(pixels, training=False), Contract(image=SPEC, classes=CLASSES)
    )
    for signature in first[:2]:
        archive.add_endpoint(signature.name, signature.function, list(signature.inputs))
    archive.write_out(str(base / "1"), verbose=False)
    server = serve_for_module(base)
    with connect(server.rest, model="m") as client:
        wait_until(lambda: client.served_version() == 1)
    return server


def write_raster(path, side_px, gsd_m):
    pixels = np.random.default_rng(3).integers(1, 255, (4, side_px, side_px)).astype(np.uint16)
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, gsd_m, gsd_m)}
    options = {"driver": "GTiff", "count": 4, "dtype": "uint16", **place}
    with rasterio.open(path, "w", height=side_px, width=side_px, **options) as dataset:
        dataset.write(pixels)
        dataset.descriptions = BANDS
    return path


UNLIKE = {
    (16, 10): "",
    (20, 12): "",
    (100, 10): "it has 100 x 100 pixels, and the model learnt from tiles of 16 x 16",
    (8, 10): "it has 8 x 8 pixels",
    (16, 0.5): "its pixels are 0.5 m apart, and the model learnt from pixels of 10 m",
    (16, 20): "its pixels are 20 m apart",
}


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_raster_unlike_the_model_s_tiles_is_refused_unless_one_insists(
    server, protocol, tmp_path
):
    paths = {
        write_raster(tmp_path / f"{at}.tif", *traits): why
        for at, (traits, why) in enumerate(UNLIKE.items())
    }
    with connect(getattr(server, protocol), model="m") as client:
        results = {it.path: it for it in client.predict_files(paths)}
        for path, why in paths.items():
            result = results[path]
            assert (result.prediction is None, why in (result.error or "")) == (bool(why), True)
        assert all("any_size=True" in it.error for it in results.values() if it.error)
        insisted = list(client.predict_files(paths, any_size=True))
        assert all(result.prediction is not None for result in insisted)


def test_the_command_line_refuses_a_scene_and_says_what_to_do(server, old_server, tmp_path):
    scene = str(write_raster(tmp_path / "scene.tif", 300, 10))
    asked = [scene, "--model", "m", "--server", server.grpc]
    done = CliRunner().invoke(command, asked)
    assert done.exit_code == 1
    assert "Cut it into such tiles (gdal_retile.py -ps 16 16), or take it as a scene" in done.output
    assert "send it anyway (--any-size" in done.output
    insisted = CliRunner().invoke(command, [*asked, "--any-size"])
    assert insisted.exit_code == 0, insisted.output
    old = CliRunner().invoke(command, [*asked[:-1], old_server.grpc])
    assert old.exit_code == 0, old.output
    assert "does not state on which tiles it was trained" in old.output


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_model_tells_what_it_needs(server, old_server, protocol):
    with connect(getattr(server, protocol), model="m") as client:
        tiles = TrainedTiles((16, 16), (16, 16), (10, 10))
        assert client.needs() == ModelNeeds(16, 16, "stretch", BANDS, None, tiles)
    with connect(getattr(old_server, protocol), model="m") as client:
        assert client.needs() is None


def test_the_command_line_predicts_from_geotiffs(server, chips, in_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = str(next(iter(chips)).parent)
    asked = [folder, "--server", server.grpc, "--model", "m", "--json"]
    done = CliRunner().invoke(command, [*asked, "--band-names", "nir, red, green, blue"])
    assert done.exit_code == 0, done.output
    answers = [json.loads(line) for line in done.output.splitlines()]
    for answer, wanted in zip(answers, in_process, strict=True):
        assert answer["probabilities"] == pytest.approx(wanted, abs=1e-6)
    (tmp_path / "skymill.yaml").write_text(
        "name: m\n"
        "ingest:\n"
        "  source: {kind: chips, uri: chips, band_names: [nir, red, green, blue]}\n"
        "  image: {bands: [blue, green, red, nir]}\n"
        "push: {model_dir: models}\n"
    )
    by_config = [item for item in asked if item not in ("--model", "m")]
    assert CliRunner().invoke(command, by_config).output == done.output
    refused = CliRunner().invoke(command, [*asked, "--bands", "blue,swir"])
    assert refused.exit_code == 1
    assert "no band 'blue'; it has #1, #2, #3, #4" in refused.output
