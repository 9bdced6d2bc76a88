"""A SavedModel with known weights maps scenes in this process, by the command as well."""

import json

import numpy as np
import pytest
import rasterio
import tensorflow as tf
from click.testing import CliRunner

from components.mapping.config import MapConfig
from components.mapping.in_process import InProcessModel
from components.mapping.maps import map_scene
from components.raster.errors import DataError
from components.raster.payload import encode_payload
from pipelines.cli.map import command
from serving.tasks.segmentation.planes import read_planes
from tests.components.mapping.networks import contract_of, smooth_ground, write_scene
from tests.components.mapping.saved import Means, save
from tests.components.models import write_contract
from tests.serving.graphs import KNOWN_OPS, ops_of


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder of pushed versions."""
    base = tmp_path_factory.mktemp("models") / "cover"
    save(base / "3", contract_of(size_px=64))
    return base


def test_the_map_is_the_networks_answer_over_the_whole_scene(base, tmp_path):
    pixels = smooth_ground(150, 130)
    pixels[60:70, 60:80] = 0
    config = MapConfig(vectors=(), probabilities=True)
    source = write_scene(tmp_path / "scene.tif", pixels)
    model = InProcessModel(base)
    assert (model.name, model.version) == ("cover", 3)
    found = map_scene(source, model, config, tmp_path / "maps")
    whole = np.where(pixels == 0, np.nan, pixels).astype(np.float32)[None, ..., None]
    expected = tf.nn.softmax(Means()(whole))[0].numpy()
    with rasterio.open(found.folder / "probabilities.tif") as dataset:
        answer = dataset.read().transpose(1, 2, 0)
    known = pixels != 0
    assert (answer[~known] == 255).all()
    assert abs(answer[known] * 0.004 - expected[known]).max() <= 0.0021


def test_planes_are_the_probabilities_of_the_pixels(base):
    """A server's answers are those of the process, in steps of 1/255."""
    random = np.random.default_rng(1)
    pixels = random.integers(1, 1000, (64, 64, 1)).astype(np.uint16)
    calls = tf.saved_model.load(str(base / "3")).signatures
    by_pixels = calls["serving_pixels"](pixels=tf.constant(pixels[None], tf.float32))
    payload = tf.constant([encode_payload(pixels, ("gray",))])
    [png] = calls["serving_planes"](image_bytes=payload)["class_planes_bytes"].numpy()
    expected = by_pixels["class_probabilities"][0].numpy()
    assert abs(read_planes(png, 3) - expected).max() <= 0.5 / 255 + 1e-6


def test_stock_tensorflow_serving_has_every_op(base):
    assert not ops_of(base / "3") - KNOWN_OPS


def test_a_tile_of_another_size_is_fitted_to_the_model(tmp_path):
    """Trained on tiles of 128 pixels that were reduced to 64: the map has the scene's pixels."""
    contract = contract_of(size_px=128)
    small = contract.image.model_copy(update={"height_px": 64, "width_px": 64})
    model = InProcessModel(save(tmp_path / "model", contract.model_copy(update={"image": small})))
    pixels = np.where(np.arange(300) < 150, 166, 833).astype(np.uint16) * np.ones(
        (200, 1), np.uint16
    )
    source = write_scene(tmp_path / "scene.tif", pixels)
    found = map_scene(source, model, MapConfig(vectors=()), tmp_path / "maps")
    with rasterio.open(found.folder / "classes.tif") as dataset:
        classes = dataset.read(1)
    assert classes.shape == (200, 300)
    assert (classes[:, 8:140] == 0).all()
    assert (classes[8:-8, 160:-8] == 2).all()


def test_a_model_that_was_exported_before_maps_is_reported(base, tmp_path):
    module = Means()
    module.call = tf.function(
        lambda image_bytes: {"x": image_bytes},
        [tf.TensorSpec([None], tf.string, "image_bytes")],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.call})
    write_contract(tmp_path, contract_of())
    with pytest.raises(DataError, match="exported by an earlier version.*serving_pixels"):
        InProcessModel(tmp_path)
    with pytest.raises(DataError, match="neither a model nor versions"):
        InProcessModel(tmp_path / "nothing")


def test_the_command_maps_what_it_can_and_names_what_it_cannot(base, tmp_path):
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    write_scene(scenes / "good.tif", smooth_ground(80, 80))
    write_scene(scenes / "empty.tif", np.zeros((80, 80), np.uint16))
    (scenes / "broken.tif").write_bytes(b"no raster")
    arguments = [str(scenes), "-o", str(tmp_path / "maps"), "--model-base", str(base)]
    done = CliRunner().invoke(command, [*arguments, "--json"])
    result = {it["scene"]: it for it in map(json.loads, done.stdout.splitlines())}
    assert done.exit_code == 1
    assert {name: it.get("reason") for name, it in result.items()} == {
        "good": None,
        "empty": "no_data",
        "broken": "unreadable",
    }
    assert {"classes.tif", "confidence.tif"} <= set(result["good"]["files"])
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["good"]
    again = CliRunner().invoke(command, [str(scenes / "good.tif"), *arguments[1:]])
    assert again.exit_code == 0
    assert "already finished" in again.stdout


def test_whoever_stops_the_command_reads_that_it_continues(base, tmp_path, monkeypatch):
    def stopped(progress, source):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.cli.map._Progress.__call__", stopped)
    write_scene(tmp_path / "scene.tif", smooth_ground(80, 80))
    arguments = [str(tmp_path / "scene.tif"), "-o", str(tmp_path / "maps")]
    done = CliRunner().invoke(command, [*arguments, "--model-base", str(base)])
    assert done.exit_code == 1
    assert "The same command continues with the rest." in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bbox", "0,50,1,40"], "--bbox: south, 50, is greater than north, 40; swap them"),
        (
            ["--start", "2026-02-01", "--end", "2026-01-01"],
            "--stac: start must not be later than end",
        ),
    ],
)
def test_a_wrong_query_is_reported_by_its_option(options, message, tmp_path):
    query = ["--stac", "https://stac.example", *options]
    done = CliRunner().invoke(command, [*query, "-o", str(tmp_path)])
    assert str(done.exception) == message
