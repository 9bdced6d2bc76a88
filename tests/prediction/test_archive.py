"""Predictions over an archive: answers, rejects, and the continuation of a killed run."""

import json
from dataclasses import replace
from functools import partial

import apache_beam as beam
import click
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio.warp
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

from components.ingest.files.layout import blocks_of
from components.ingest.sources import family_of, list_source
from components.mapping.config import MapConfig
from components.raster.errors import ConfigError, DataError
from pipelines.cli.batch import prediction_settings
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.earlier import INPUTS_FILE
from pipelines.prediction.maps import MapJob
from pipelines.prediction.model import ExampleModel, find_model
from pipelines.prediction.output import PredictionPaths, begin, only_run_into
from pipelines.prediction.run import folder_of, plan_run, predict_archive
from pipelines.prediction.shard import ShardJob, ShardPredictor
from tests.prediction.models import SIDE_PX
from tests.prediction.rasters import write_raster

_RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
in_process = partial(beam.Pipeline, options=PipelineOptions([_RUNNER]))


def planned(source, model_base, **settings):
    tree = {"source": source, "batch": 7, **settings}
    return plan_run(PredictionConfig.model_validate(tree), str(model_base))


def rows_of(folder):
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return {row["key"]: row for table in tables for row in table.to_pylist()}


def rejects_of(folder):
    lines = (line for path in folder.glob("rejects-*") for line in path.read_text().splitlines())
    return {reject["key"]: reject for reject in map(json.loads, lines)}


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def answers_of(folder):
    """Content less the states of the images, which are of those that were written a while ago."""
    return {name: data for name, data in content_of(folder).items() if name != INPUTS_FILE}


def test_images_without_classes_get_answers_and_a_broken_one_is_a_reject(
    archive, photographs_model, tmp_path
):
    plan = planned({"kind": "images", "uri": str(archive)}, photographs_model, shards=3)
    out = tmp_path / "out"
    done = predict_archive(plan, str(out), in_process)
    assert (done.predictions, done.rejects, done.model_version) == (40, {"corrupt": 1}, 3)
    rows = rows_of(out)
    assert len(rows) == 40
    for key, row in rows.items():
        is_dark = int(key[-6:-4]) < 25  # whatever the folder is called
        assert row["class"] == ("dark" if is_dark else "bright")
        assert row["confidence"] == max(row["probabilities"]) > 0.99
        assert row["uri"] == str(archive / key)
        assert row["model_version"] == 3
    assert rejects_of(out)["loose.jpg"]["reason"] == "corrupt"
    assert json.loads((out / "summary.json").read_text())["ignored"] == {".txt": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "out"]

    # As in a folder that allows no writing: no lock is taken.
    with only_run_into(PredictionPaths(str(out), 0, "parquet")):
        again = predict_archive(plan, str(out), in_process)
    assert not again.is_new
    assert again.predictions == 40
    (archive / "new.png").write_bytes((archive / "site/00.png").read_bytes())
    other = planned({"kind": "images", "uri": str(archive)}, photographs_model, shards=3)
    with pytest.raises(ConfigError, match="other predictions"):
        predict_archive(other, str(out), in_process)
    assert predict_archive(other, str(out), in_process, overwrite=True).predictions == 41


def test_a_killed_run_continues_with_the_shards_that_it_lacks(archive, photographs_model, tmp_path):
    plan = planned({"kind": "images", "uri": str(archive)}, photographs_model, shards=3)
    predict_archive(plan, str(tmp_path / "whole"), in_process)

    listing = list_source(plan.reading)
    lines = list(family_of(plan.reading.source).lines(listing, 3))
    paths = PredictionPaths(str(tmp_path / "killed"), 3, "parquet")
    begin(paths, plan.identity, b"".join(lines))
    job = ShardJob(plan.reading.model_dump_json(), (), plan.model, 7, paths)
    ShardPredictor(job, ExampleModel.load(plan.model)).write(blocks_of(lines)[1])
    (tmp_path / ".killed.unfinished/attempts/half").write_bytes(b"PAR1 half of a shard")
    made = (tmp_path / ".killed.unfinished/results" / paths.predictions_name(1)).stat().st_ino
    assert not (tmp_path / "killed").exists()

    predict_archive(plan, str(tmp_path / "killed"), in_process)
    made_anew, whole = (answers_of(tmp_path / name) for name in ("killed", "whole"))
    assert made_anew == whole
    assert (tmp_path / "killed" / paths.predictions_name(1)).stat().st_ino == made
    assert not (tmp_path / ".killed.unfinished").exists()


def test_the_labels_of_a_manifest_are_not_read(archive, photographs_model, tmp_path):
    table = archive / "table.csv"
    table.write_text("uri,label\nsite/00.png,\nsite/38.png,dark\nmissing.png,bright\n")
    source = {"kind": "manifest", "uri": str(table)}
    plan = planned(source, photographs_model, format="tfrecord", output=str(tmp_path / "all"))
    done = predict_archive(plan, folder_of(plan), in_process)
    assert done.rejects == {"missing_file": 1}
    [path] = (tmp_path / "all").glob("v3-*/*.tfrecord")
    spec = {
        "key": tf.io.FixedLenFeature([], tf.string),
        "class": tf.io.FixedLenFeature([], tf.string),
        "probabilities": tf.io.FixedLenFeature([2], tf.float32),
        "model_version": tf.io.FixedLenFeature([], tf.int64),
    }
    found = {}
    for record in tf.data.TFRecordDataset(str(path)):
        row = tf.io.parse_single_example(record, spec)
        found[row["key"].numpy()] = row["class"].numpy()
    assert found == {b"site/00.png": b"dark", b"site/38.png": b"bright"}


def write_chip(path, level, **options):
    write_raster(path, np.full((SIDE_PX, SIDE_PX), level), **options)


def test_chips_that_are_not_like_those_of_the_training_are_rejects(rasters_model, tmp_path):
    write_chip(tmp_path / "chips/low.tif", 100)
    write_chip(tmp_path / "chips/deep/high.tif", 1900)
    write_chip(tmp_path / "chips/coarse.tif", 100, pixel_m=30.0)
    write_chip(tmp_path / "chips/poor.tif", 100, bands=("red", "green"))
    source = {"kind": "chips", "uri": str(tmp_path / "chips")}
    plan = planned(source, rasters_model)
    done = predict_archive(plan, str(tmp_path / "out"), in_process)
    assert done.rejects == {"unknown_band": 1, "unlike_training": 1}
    assert "30 m" in rejects_of(tmp_path / "out")["coarse.tif"]["detail"]
    rows = rows_of(tmp_path / "out")
    assert {key: row["class"] for key, row in rows.items()} == {
        "low.tif": "dark",
        "deep/high.tif": "bright",
    }
    east, north = 500_000 + 10 * SIDE_PX / 2, 5_000_000 - 10 * SIDE_PX / 2
    [lon], [lat] = rasterio.warp.transform("EPSG:32632", "OGC:CRS84", [east], [north])
    # A centimetre is 1e-7 degrees.
    assert rows["low.tif"]["longitude"] == pytest.approx(lon, abs=1e-9)
    assert rows["low.tif"]["latitude"] == pytest.approx(lat, abs=1e-9)
    assert rows["low.tif"]["crs"] == "EPSG:32632"


def write_scenes(folder):
    """A scene of two by three tiles, dark at the left; one without the model's bands."""
    values = np.full((2 * SIDE_PX, 3 * SIDE_PX), 1900)
    values[:, :SIDE_PX] = 100
    write_raster(folder / "field.tif", values)
    write_raster(folder / "poor.tif", values, bands=("red", "green"))


def test_scenes_are_cut_into_tiles_with_a_row_each(rasters_model, tmp_path):
    write_scenes(tmp_path / "scenes")
    source = {"kind": "scenes", "uri": str(tmp_path / "scenes"), "tiling": {"size_px": SIDE_PX}}
    plan = planned(source, rasters_model)
    done = predict_archive(plan, str(tmp_path / "out"), in_process)
    assert (done.predictions, done.rejects) == (6, {"unknown_band": 1})
    rows = rows_of(tmp_path / "out")
    assert {key for key, row in rows.items() if row["class"] == "dark"} == {
        "field@0,0,8x8",
        "field@8,0,8x8",
    }


def test_scenes_become_maps(rasters_model, tmp_path):
    write_scenes(tmp_path / "scenes")
    source = {"kind": "scenes", "uri": str(tmp_path / "scenes")}
    plan = planned(source, rasters_model, format="maps", map={"vectors": ["geojson"]})
    done = predict_archive(plan, str(tmp_path / "out"), in_process)
    assert (done.predictions, done.rejects) == (1, {"unknown_band": 1})
    [geojson] = (tmp_path / "out/field").glob("*.geojson")
    cells = json.loads(geojson.read_text())["features"]
    classes = [cell["properties"]["class"] for cell in cells]
    assert sorted(classes) == ["bright"] * 4 + ["dark"] * 2
    assert rejects_of(tmp_path / "out")["poor"]["uri"] == str(tmp_path / "scenes/poor.tif")
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {"field"}
    assert not predict_archive(plan, str(tmp_path / "out"), in_process).is_new


def test_an_output_never_replaces_what_the_run_reads(archive, photographs_model):
    plan = planned({"kind": "images", "uri": str(archive)}, photographs_model)
    for output in (archive, archive.parent, photographs_model):
        with pytest.raises(ConfigError, match="holds the (source|model)"):
            predict_archive(plan, str(output), in_process, overwrite=True)
    assert len(list(archive.glob("*/*.png"))) == 40


@pytest.mark.parametrize("name", ["notes.txt", "summary.json"])
def test_overwriting_replaces_predictions_alone(archive, photographs_model, tmp_path, name):
    plan = planned({"kind": "images", "uri": str(archive)}, photographs_model)
    own = tmp_path / "out" / name
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(ConfigError, match="other files than predictions"):
        predict_archive(plan, str(own.parent), in_process, overwrite=True)
    assert own.read_text() == "mine"
    own.unlink()
    assert predict_archive(plan, str(own.parent), in_process).is_new


def test_maps_are_not_made_among_the_scenes(rasters_model, tmp_path):
    write_scenes(tmp_path / "scenes")
    source = {"kind": "scenes", "uri": str(tmp_path / "scenes")}
    plan = planned(source, rasters_model, format="maps")
    with pytest.raises(ConfigError, match="is in the source"):
        predict_archive(plan, str(tmp_path / "scenes/maps"), in_process)


def test_a_model_that_was_replaced_during_a_run_answers_nothing(rasters_model):
    ref, _ = find_model(str(rasters_model), None)
    other = replace(ref, identity="of the files when the run was planned")
    job = MapJob(MapConfig().model_dump_json(), other, "m", PredictionPaths("out", 1, "maps"))
    for load in (partial(ExampleModel.load, other), job.load):
        with pytest.raises(DataError, match="was replaced during the run"):
            load()


def test_a_kind_without_a_source_is_refused():
    with pytest.raises(click.UsageError, match="--kind needs a SOURCE"):
        prediction_settings(None, None, "chips", "", {})


def test_a_model_of_other_images_is_refused_by_name(archive, rasters_model, photographs_model):
    with pytest.raises(ConfigError, match="rasters of the bands red, nir.*kind images"):
        planned({"kind": "images", "uri": str(archive)}, rasters_model)
    with pytest.raises(ConfigError, match="takes photographs.*kind chips"):
        planned({"kind": "chips", "uri": str(archive)}, photographs_model)


@pytest.mark.slow
def test_several_processes_write_the_files_of_one(archive, photographs_model, tmp_path):
    plan = planned({"kind": "images", "uri": str(archive)}, photographs_model, shards=3)
    shared = partial(beam.Pipeline, options=PipelineOptions([_RUNNER, "--ingest_processes=2"]))
    for name, make_pipeline in (("one", in_process), ("two", shared)):
        predict_archive(plan, str(tmp_path / name), make_pipeline)
    assert answers_of(tmp_path / "one") == answers_of(tmp_path / "two")
