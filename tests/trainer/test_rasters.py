"""Four-band tiles from examples to a served model, and to its answer about a payload."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import tensorflow as tf
from rasterio.transform import from_origin

from components.evaluation.model import EvaluatedModel
from components.infra_check.check import check_model
from components.infra_check.config import InfraCheckConfig
from components.raster.errors import DataError
from components.raster.payload import encode_payload
from components.raster.scaling import UNSCALED, Scaling
from serving.client import connect
from serving.client.raster_reading import RasterReading
from serving.contract.contract import read_contract
from serving.contract.needs import TrainedTiles
from serving.graph.inputs import model_input
from serving.graph.warmup import write_warmup
from serving.server.process import serve_model_in_subprocess
from tests.serving.graphs import KNOWN_OPS, ops_of
from tests.trainer.objectives import of_classes
from tests.trainer.rasters import (
    BANDS,
    CLASSES,
    SIDE_PX,
    SPEC,
    serialized,
    toy_example,
    write_records,
    write_tiles,
)
from trainer.augment.augmentation import Augmentation
from trainer.augment.config import Augment
from trainer.data.bands import BandScale
from trainer.data.dataset import InMemory, Streamed, open_source
from trainer.data.examples import learnt_scalings, list_files
from trainer.data.tiles import trained_tiles
from trainer.run import run_fn
from trainer.tasks.network import build_network
from trainer.training.config import Backbone, SmallCnn, TrainConfig

#: What the numbers of near infrared mean in the toy tiles.
SCALED = Scaling(0.0001, -0.1)
SCALE = BandScale((900.0, 800.0, 600.0, 2000.0), (90.0, 90.0, 90.0, 1200.0))


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiles")
    written = write_tiles(root)
    (root / "scalings.json").write_text(json.dumps({"nir": SCALED}))
    return root, written


@pytest.fixture(scope="module")
def trained(tiles, tmp_path_factory):
    """The model that the entry point exports from the tiles, and what it was trained on."""
    root, written = tiles
    folder = tmp_path_factory.mktemp("trained")
    config = TrainConfig(
        model=SmallCnn(filters=(8, 8), batch_norm=False, dropout=0),
        batch_size=8,
        epochs=12,
        learning_rate=0.01,
        early_stopping=None,
    )
    run_fn(
        SimpleNamespace(
            train_files=[f"{root}/Split-train/*"],
            eval_files=[f"{root}/Split-eval/*"],
            serving_model_dir=str(folder / "model"),
            model_run_dir=str(folder / "run"),
            hyperparameters=None,
            custom_config={"train": config.model_dump_json(), "image": SPEC.model_dump_json()},
        )
    )
    return folder / "model", written


def test_a_model_sees_invalid_pixels_as_nan_in_every_band(tiles):
    _, written = tiles
    payloads = [encode_payload(pixels, BANDS, valid) for pixels, valid, _ in written["test"]]
    for seen, (pixels, valid, _) in zip(
        model_input(tf.constant(payloads), SPEC).numpy(), written["test"], strict=True
    ):
        assert np.isnan(seen[~valid]).all()
        assert np.array_equal(seen[valid], pixels[valid].astype(np.float32))


@pytest.mark.parametrize(("limit", "kind"), [(None, InMemory), (0, Streamed)])
def test_both_sources_give_the_tiles(tiles, limit, kind):
    root, written = tiles
    source = open_source(list_files([f"{root}/Split-eval/*"]), 11, SPEC, of_classes(2), limit, 16)
    assert isinstance(source, kind)
    pixels, labels = next(iter(source.once(11)))
    assert (pixels.shape, pixels.dtype) == ((11, SIDE_PX, SIDE_PX, 4), tf.float32)
    assert labels.numpy().tolist() == [label for _, _, label in written["eval"]]


def test_the_limit_counts_four_bytes_a_sample(tiles):
    root, _ = tiles
    files, size = list_files([f"{root}/Split-eval/*"]), 11 * (SIDE_PX * SIDE_PX * 4 * 4 + 8)
    assert isinstance(open_source(files, 11, SPEC, of_classes(2), size, 16), InMemory)
    assert isinstance(open_source(files, 11, SPEC, of_classes(2), size - 1, 16), Streamed)


def test_turned_and_flipped_tiles_keep_bands_and_invalid_pixels_together():
    pixels = np.random.default_rng(0).normal(0, 1, (64, 8, 8, 5)).astype(np.float32)
    pixels[:, :3, :2] = np.nan
    augmentation = Augmentation(Augment(), [f"B{number}" for number in range(5)])
    turned = augmentation({"images": pixels}, seed=tf.constant([0, 0]))["images"].numpy()
    views = set()
    for before, after in zip(pixels, turned, strict=True):
        symmetries = [
            np.rot90(side, turns) for side in (before, before[::-1]) for turns in range(4)
        ]
        same = [np.array_equal(after, view, equal_nan=True) for view in symmetries]
        assert sum(same) == 1
        views.add(same.index(True))
    assert len(views) == 8  # every symmetry of the square


@pytest.mark.parametrize(
    "model", [SmallCnn(filters=(4,)), Backbone(arguments={"alpha": 0.35}, weights=None)]
)
def test_values_of_invalid_pixels_do_not_matter(model):
    """Only where they are does: to a model they are the mean of each band."""
    spec = SPEC.model_copy(update={"height_px": 32, "width_px": 32})
    served = build_network(model, spec, of_classes(2), SCALE).served()
    pixels = np.random.default_rng(0).normal(SCALE.mean, SCALE.stddev, (1, 32, 32, 4))
    as_mean, as_nan = pixels.astype(np.float32), pixels.astype(np.float32)
    as_mean[:, 5:20, 3:9], as_nan[:, 5:20, 3:9] = SCALE.mean, np.nan
    assert served.input.dtype == "float32"
    np.testing.assert_allclose(served(as_nan), served(as_mean), atol=1e-6)


def test_the_tiles_that_were_trained_on_are_reported(tmp_path):
    sizes = [(16, 20, 10.0), (12, 20, None), (18, 30, 0.5)]
    examples = [
        serialized(
            {"image/height": [height], "image/width": [width]}
            | ({"image/gsd_m": [gsd_m]} if gsd_m else {})
        )
        for height, width, gsd_m in sizes
    ]
    file = write_records(tmp_path / "data.tfrecord", examples)
    assert trained_tiles([file]) == TrainedTiles((12, 18), (20, 30), (0.5, 10))


def test_numbers_that_mean_something_else_are_refused(trained):
    folder, written = trained
    assert read_contract(folder).scalings == {"nir": SCALED}
    ask = tf.saved_model.load(folder).signatures["serving_default"]
    pixels, valid, _ = written["test"][0]

    def payload(offset=None, bands=BANDS, **stated):
        if offset is not None:
            stated["scalings"] = [
                Scaling(1e-4, offset) if it == "nir" else UNSCALED for it in bands
            ]
        return encode_payload(pixels, bands, valid, **stated)

    wanted = ask(image_bytes=tf.constant([payload()]))["probabilities"].numpy()
    same = ask(image_bytes=tf.constant([payload(-0.1)]))["probabilities"].numpy()
    assert np.array_equal(same, wanted)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        ask(image_bytes=tf.constant([payload(0)]))
    assert (
        "wrong_values: scale and offset of blue, green, red, nir were 1 0, 1 0, 1 0, 0.0001 -0.1 "
        "in training, and are 1 0, 1 0, 1 0, 0.0001 0 here"
    ) in caught.value.message
    with pytest.raises(tf.errors.InvalidArgumentError, match="wrong_values: the model learnt the"):
        ask(image_bytes=tf.constant([payload(values="scaled")]))


def test_artifacts_whose_numbers_mean_different_values_are_refused(tmp_path):
    files = [str(tmp_path / span / "Split-train" / "data") for span in ("one", "two")]
    assert learnt_scalings(files) is None
    for span, reported in (("one", {"red": [1e-4, 0]}), ("two", {"red": [1e-4, -0.1]})):
        (tmp_path / span).mkdir()
        (tmp_path / span / "scalings.json").write_text(json.dumps(reported))
    assert learnt_scalings(files[1:]) == {"red": (1e-4, -0.1)}
    with pytest.raises(DataError) as caught:
        learnt_scalings(files)
    assert "one (red: number * 0.0001) and in" in str(caught.value)
    assert "two (red: number * 0.0001 - 0.1). Set image.values" in str(caught.value)
    (tmp_path / "two" / "scalings.json").write_text('{"red": 7}')
    with pytest.raises(DataError, match="holds no scalings"):
        learnt_scalings(files)


def test_artifacts_that_disagree_are_refused_before_the_first_step(tiles, tmp_path):
    root, _ = tiles
    other = tmp_path / "other"
    shutil.copytree(root, other)
    (other / "scalings.json").write_text(json.dumps({"nir": Scaling(0.0001, 0)}))
    config = TrainConfig(model=SmallCnn(filters=(4,)), batch_size=8, epochs=1)
    with pytest.raises(DataError, match="the same number means different values"):
        run_fn(
            SimpleNamespace(
                train_files=[f"{root}/Split-train/*"],
                eval_files=[f"{other}/Split-eval/*"],
                serving_model_dir=str(tmp_path / "model"),
                model_run_dir=str(tmp_path / "run"),
                hyperparameters=None,
                custom_config={"train": config.model_dump_json(), "image": SPEC.model_dump_json()},
            )
        )
    assert not list(tmp_path.rglob("progress.jsonl"))


def test_from_tiles_to_a_served_model(trained):
    folder, written = trained
    contract = read_contract(folder)
    assert (contract.image, contract.classes) == (SPEC, CLASSES)
    assert contract.tiles == TrainedTiles((SIDE_PX, SIDE_PX), (SIDE_PX, SIDE_PX), None)
    signatures = tf.saved_model.load(folder).signatures
    tiles = written["test"]
    examples = tf.constant([toy_example(*tile) for tile in tiles])
    by_example = signatures["serving_examples"](examples=examples)
    wanted = [CLASSES[label].encode() for _, _, label in tiles]
    assert by_example["class"].numpy().tolist() == wanted
    payloads = [encode_payload(pixels, BANDS, valid) for pixels, valid, _ in tiles]
    by_payload = signatures["serving_default"](image_bytes=tf.constant(payloads))
    for name in by_payload:
        assert np.array_equal(by_payload[name], by_example[name]), name


def test_the_order_of_a_tiles_bands_does_not_matter(trained):
    folder, written = trained
    ask = tf.saved_model.load(folder).signatures["serving_default"]
    pixels, valid, _ = written["test"][0]
    more = np.concatenate([pixels[..., ::-1], np.zeros_like(pixels[..., :1])], axis=-1)
    answers = ask(
        image_bytes=tf.constant(
            [
                encode_payload(pixels, BANDS, valid),
                encode_payload(more, (*BANDS[::-1], "thermal"), valid),
            ]
        )
    )["probabilities"].numpy()
    assert np.array_equal(answers[0], answers[1])


def test_a_training_on_tiles_is_named_by_their_bands(trained):
    folder, _ = trained
    text = json.loads((folder / "assets.extra" / "contract.json").read_text())
    assert text["image"]["bands"] == list(BANDS)


def test_every_op_is_one_that_stock_tensorflow_serving_has(trained):
    folder, _ = trained
    assert not ops_of(folder) - KNOWN_OPS


@pytest.mark.slow
def test_the_nodes_and_the_client_find_the_answers_that_the_model_gives(trained, tmp_path):
    folder, written = trained
    tiles = written["test"]
    payloads = [encode_payload(pixels, BANDS, valid) for pixels, valid, _ in tiles]
    examples = [toy_example(*tile) for tile in tiles]
    report = check_model(folder, folder, payloads, examples, InfraCheckConfig())
    assert [finding.detail for finding in report.findings if not finding.passed] == []
    assert len(report.findings) == 5  # it is up; two protocols, two signatures

    wanted = EvaluatedModel(str(folder)).answers(examples)["probabilities"]
    paths = [tmp_path / f"{number}.tif" for number in range(len(tiles))]
    for path, (pixels, valid, _) in zip(paths, tiles, strict=True):
        write_geotiff(path, pixels, valid)
    untagged = Path(shutil.copy(paths[0], tmp_path / "untagged.tif"))
    with rasterio.open(untagged, "r+") as dataset:
        dataset.scales, dataset.offsets = (1,) * 4, (0,) * 4
    with serve_model_in_subprocess(folder) as server:
        for address in (server.grpc, server.rest):
            with connect(address, model=server.model_name) as client:
                results = list(client.predict_files(paths))
                [refused] = client.predict_files([untagged])
                [taken] = client.predict_files([untagged], rasters=RasterReading(values="stored"))
            assert "0.0001 -0.1 in training, and are 1 0, 1 0, 1 0, 1 0 here" in str(refused.error)
            assert "skymill predict --values" in str(refused.error)
            same = results[0].prediction.probabilities
            assert taken.prediction.probabilities == pytest.approx(same, abs=1e-6)
            given = [list(result.prediction.probabilities.values()) for result in results]
            np.testing.assert_allclose(given, wanted, atol=1e-6)


@pytest.mark.slow
def test_warm_up_requests_hold_payloads(trained, tmp_path):
    folder, written = trained
    copy = shutil.copytree(folder, tmp_path / "model")
    payloads = [encode_payload(pixels, BANDS, valid) for pixels, valid, _ in written["test"]]
    assert write_warmup(copy, payloads) == 8
    report = check_model(
        copy, folder, payloads[:1], [toy_example(*written["test"][0])], InfraCheckConfig()
    )
    assert all(finding.passed for finding in report.findings)


def write_geotiff(path, pixels, valid):
    """Bands by their descriptions, in an order of the file's own, and a mask of valid pixels."""
    order = [2, 3, 0, 1]
    height, width, count = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=count,
        dtype=pixels.dtype,
        crs="EPSG:32632",
        transform=from_origin(500_000, 5_300_000, 10, 10),
    ) as dataset:
        dataset.write(pixels[:, :, order].transpose(2, 0, 1))
        dataset.descriptions = tuple(BANDS[index] for index in order)
        dataset.scales = tuple(SCALED.scale if BANDS[it] == "nir" else 1 for it in order)
        dataset.offsets = tuple(SCALED.offset if BANDS[it] == "nir" else 0 for it in order)
        dataset.write_mask(valid)
