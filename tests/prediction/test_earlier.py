"""Answers that a run takes over from an earlier one, and those that it must not."""

import json
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow.dataset as dataset
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image

from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.run import folder_of, plan_run, predict_archive
from tests.components.ingest.test_remote import FolderStore  # noqa: F401 - Beam finds its scheme
from tests.prediction import models
from tests.prediction.models import SIDE_PX
from tests.prediction.rasters import write_raster

_RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
in_process = partial(beam.Pipeline, options=PipelineOptions([_RUNNER]))


@pytest.fixture
def settled(monkeypatch):
    """All files count as written long ago, and a file's state says whether it was changed."""
    monkeypatch.setattr("components.raster.file_state._LONGEST_TICK_NS", 0)


def predicted(source, base, output, **settings):
    """A run of the pipeline: into a folder of its own below the output."""
    tree = {"source": source, "batch": 7, "output": str(output), **settings}
    plan = plan_run(PredictionConfig.model_validate(tree), str(base))
    return predict_archive(plan, folder_of(plan), in_process)


def classes_in(done):
    table = dataset.dataset(done.folder, format="parquet", exclude_invalid_files=True).to_table()
    return dict(zip(table["key"].to_pylist(), table["class"].to_pylist(), strict=True))


def write_photograph(path, level):
    Image.fromarray(np.full((10, 12, 3), level, np.uint8)).save(path)


def test_only_new_and_changed_images_are_predicted_again(
    settled, archive, photographs_model, tmp_path
):
    run = partial(predicted, {"kind": "images", "uri": str(archive)}, photographs_model)
    out = tmp_path / "out"
    first = run(out)
    assert (first.predictions, first.taken_over) == (40, 0)
    write_photograph(archive / "new.png", 230)
    write_photograph(archive / "site/00.png", 230)  # dark before
    os.remove(archive / "site/02.png")
    write_photograph(archive / "loose.jpg", 20)  # a reject before
    second = run(out)
    assert (second.predictions, second.taken_over, dict(second.rejects)) == (41, 38, {})
    found = classes_in(second)
    assert len(found) == 41
    assert found.keys() == classes_in(first).keys() - {"site/02.png"} | {"new.png", "loose.jpg"}
    assert (found["new.png"], found["site/00.png"], found["loose.jpg"]) == (
        "bright",
        "bright",
        "dark",
    )
    assert found["site/04.png"] == "dark"
    assert json.loads(Path(second.folder, "summary.json").read_text())["taken_over"] == 38

    shutil.rmtree(first.folder)
    os.remove(archive / "new.png")
    third = run(out)  # from what the second had taken over itself, and nothing is left to predict
    assert (third.predictions, third.taken_over) == (40, 40)
    assert classes_in(third) == {key: it for key, it in found.items() if key != "new.png"}
    anew = run(tmp_path / "anew", take_over=False)
    assert (anew.taken_over, classes_in(anew)) == (0, classes_in(third))


def test_a_run_that_replaces_another_takes_over_from_it(
    settled, archive, photographs_model, tmp_path
):
    tree = {"source": {"kind": "images", "uri": str(archive)}, "format": "tfrecord"}
    config = PredictionConfig.model_validate(tree)
    out = str(tmp_path / "out")
    predict_archive(plan_run(config, str(photographs_model)), out, in_process)
    write_photograph(archive / "new.png", 230)
    plan = plan_run(config, str(photographs_model))
    done = predict_archive(plan, out, in_process, overwrite=True)
    assert (done.predictions, done.taken_over) == (41, 40)
    names = sorted(it.name for it in (tmp_path / "out").glob("*.tfrecord"))
    assert names == ["predictions-00000-of-00001.tfrecord", "predictions-earlier.tfrecord"]


def test_runs_into_a_store_take_over_and_replace_as_those_into_folders(
    settled, archive, photographs_model, tmp_path
):
    source, base = {"kind": "images", "uri": str(archive)}, photographs_model
    store = f"shelf://{tmp_path}/store"
    first = predicted(source, base, store, shards=3)
    (archive / "new.png").write_bytes((archive / "site/38.png").read_bytes())
    second = predicted(source, base, store, shards=3)
    assert (first.folder.startswith("shelf://"), second.taken_over) == (True, 40)
    objects = Path(second.folder.removeprefix("shelf://")).rglob("*")
    names = {path.name for path in objects if path.is_file()}
    assert names == {
        "inputs.jsonl",
        "predictions-00000-of-00002.parquet",
        "predictions-00001-of-00002.parquet",
        "predictions-earlier.parquet",
        "rejects-00000-of-00002.jsonl",
        "rejects-00001-of-00002.jsonl",
        "summary.json",
    }

    (archive / "newer.png").write_bytes((archive / "site/38.png").read_bytes())
    config = PredictionConfig.model_validate({"source": source, "batch": 7, "shards": 1})
    plan = plan_run(config, str(base))
    third = predict_archive(plan, second.folder, in_process, overwrite=True)
    assert (third.predictions, third.taken_over) == (42, 41)
    local = replace(third, folder=third.folder.removeprefix("shelf://"))
    assert len(list(Path(local.folder).glob("predictions-*"))) == 2
    assert len(classes_in(local)) == 42


def test_another_model_or_other_settings_take_nothing_over(
    settled, archive, photographs_model, tmp_path
):
    shutil.copytree(photographs_model, tmp_path / "models")
    source, out = {"kind": "images", "uri": str(archive)}, tmp_path / "out"
    run = partial(predicted, source, tmp_path / "models", out)
    run()
    write_photograph(archive / "new.png", 230)
    assert run(batch=5).taken_over == 0
    models.save_for_photographs(tmp_path / "models/4", turned=True)
    turned = run()
    assert (turned.model_version, turned.taken_over) == (4, 0)
    assert classes_in(turned)["new.png"] == "dark"
    # As version 4 before: a folder of its name that was replaced by other files.
    os.remove(archive / "new.png")
    shutil.rmtree(tmp_path / "models/4")
    models.save_for_photographs(tmp_path / "models/4")
    assert run().taken_over == 0


def test_a_file_that_was_just_written_is_predicted_again(archive, photographs_model, tmp_path):
    source = {"kind": "images", "uri": str(archive)}
    predicted(source, photographs_model, tmp_path / "out")
    write_photograph(archive / "new.png", 230)
    # Its clock may have ticked once between two contents: the first run vouches for nothing.
    assert predicted(source, photographs_model, tmp_path / "out").taken_over == 0


def write_scenes(folder, *levels):
    for number, level in enumerate(levels):
        write_raster(folder / f"field-{number}.tif", np.full((2 * SIDE_PX, 3 * SIDE_PX), level))


@pytest.mark.parametrize("format_", ["maps", "parquet"])
def test_unchanged_scenes_are_taken_over_whole(settled, rasters_model, tmp_path, format_):
    write_scenes(tmp_path / "scenes", 100, 1900, 100)
    write_raster(tmp_path / "scenes/poor.tif", np.ones((8, 8)), bands=("red", "green"))
    source = {"kind": "scenes", "uri": str(tmp_path / "scenes"), "tiling": {"size_px": SIDE_PX}}
    run = partial(predicted, source, rasters_model, tmp_path / "out", format=format_)
    first = run()
    write_scenes(tmp_path / "scenes", 1900)
    write_raster(tmp_path / "scenes/late.tif", np.full((SIDE_PX, SIDE_PX), 100))
    # A side file holds what GDAL reads beside the pixels.
    (tmp_path / "scenes/field-2.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    second = run()
    assert dict(first.rejects) == dict(second.rejects) == {"unknown_band": 1}
    if format_ == "maps":
        assert (second.predictions, second.taken_over) == (4, 1)
        old, new = (Path(it.folder, "field-1/map.json") for it in (first, second))
        assert old.read_text() == new.read_text()
        assert old.stat().st_ino != new.stat().st_ino, "who edits one leaves the other"
    else:
        assert (second.predictions, second.taken_over) == (19, 6)
        found = classes_in(second)
        assert {found[f"field-{number}@0,0,8x8"] for number in (0, 1)} == {"bright"}
        assert {found[f"{name}@0,0,8x8"] for name in ("field-2", "late")} == {"dark"}
