"""The folder of a run when a kill, another attempt or a name comes at the worst moment."""

import os
import shutil

import pytest

from components.ingest.files import storage
from components.ingest.files.layout import blocks_of
from components.ingest.records.summary import Summary
from components.mapping.config import MapConfig
from components.mapping.maps import UNFINISHED
from components.mapping.only_run import only_run
from components.raster.errors import DataError
from pipelines.prediction.maps import MapJob, MapWriter, scene_lines
from pipelines.prediction.model import ModelRef
from pipelines.prediction.output import OutputPaths, begin, complete
from pipelines.prediction.table import escaped
from tests.components.mapping.networks import Network, contract_of, smooth_ground, write_scene


@pytest.fixture
def finished(tmp_path):
    """Paths of a run whose one shard is finished."""
    paths = OutputPaths(str(tmp_path / "out"), 1, "parquet")
    begin(paths, "own", b"line")
    storage.write(paths.result(paths.predictions_name(0)), b"answers")
    paths.finish(0, b"", Summary({}, {"predicted": 1}))
    return paths


def test_a_state_whose_results_went_into_place_vouches_for_nothing_more(finished):
    os.rename(finished.results, finished.final)  # and the run is killed
    shutil.rmtree(finished.final)  # by its user
    begin(finished, "own", b"line")
    assert finished.summary_of(0) is None


def test_a_kept_state_is_that_of_the_run_alone(finished):
    begin(finished, "own", b"line")
    assert finished.summary_of(0) == Summary({}, {"predicted": 1})
    begin(finished, "other", b"line")
    assert finished.summary_of(0) is None


def test_an_output_never_appears_without_one_of_its_files(finished):
    names = [finished.predictions_name(0), finished.rejects_name(0)]
    os.remove(finished.result(names[0]))
    with pytest.raises(DataError, match="1 of 2 files are gone, such as predictions-00000"):
        complete(finished, names, {})
    assert not os.path.exists(finished.final)
    assert not os.path.exists(finished.work)


def test_a_map_that_another_attempt_makes_is_no_reject_and_stays(tmp_path):
    scene = write_scene(tmp_path / "field.tif", smooth_ground(40, 50))
    lines = scene_lines([scene])
    paths = OutputPaths(str(tmp_path / "out"), 1, "maps")
    begin(paths, "own", b"".join(lines))
    job = MapJob(MapConfig(vectors=()).model_dump_json(), ModelRef("m", 1, "id"), "m", paths)
    writer = MapWriter(job, Network(contract_of()))
    [block] = blocks_of(lines)
    folder = tmp_path / ".out.unfinished/results" / UNFINISHED / scene.scene_id
    with only_run(folder, scene.scene_id):
        (folder / "state.json").write_text("of the other attempt")
        with pytest.raises(DataError, match="another run is making this map"):
            writer.write(block)
        assert (folder / "state.json").exists()
    assert writer.write(block).images == {"mapped": 1}


def test_names_that_are_no_text_stay_different():
    first, second = (os.fsdecode(b"field-" + byte + b".png") for byte in (b"\xe9", b"\xe8"))
    assert escaped(first) != escaped(second)
    assert escaped("\ud800").isascii()
    assert escaped("Weizenfäld.png") == "Weizenfäld.png"
