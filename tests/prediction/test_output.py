"""The folder of a run after kills and concurrent attempts at the worst moment."""

import os
import shutil

import pytest

from components.ingest.files import storage
from components.ingest.files.layout import blocks_of
from components.ingest.records.summary import IngestSummary
from components.mapping.config import MapConfig
from components.mapping.maps import UNFINISHED, SceneMap
from components.mapping.only_run import only_run
from components.mapping.rejects import MapReject
from components.raster.errors import DataError, TransientDataError
from components.raster.scene.folders import check_folders
from components.raster.scene.scene import BandFile, SceneSource
from pipelines.prediction.maps import MapJob, MapWriter, _summary, scene_lines
from pipelines.prediction.model import PinnedModel
from pipelines.prediction.output import PredictionPaths, begin, complete, only_run_into
from pipelines.prediction.table import escaped
from tests.components.mapping.networks import Network, contract_of, smooth_ground, write_scene


@pytest.fixture
def finished(tmp_path):
    """Paths of a run whose one shard is finished."""
    paths = PredictionPaths(str(tmp_path / "out"), 1, "parquet")
    begin(paths, "own", b"line")
    storage.write(paths.result(paths.predictions_name(0)), b"answers")
    paths.finish(0, b"", IngestSummary({}, {"predicted": 1}))
    return paths


def test_a_state_whose_results_went_into_place_vouches_for_nothing_more(finished):
    os.rename(finished.results, finished.final)  # and the run is killed
    shutil.rmtree(finished.final)  # by its user
    begin(finished, "own", b"line")
    assert finished.summary_of(0) is None


def test_a_kept_state_is_that_of_the_run_alone(finished):
    begin(finished, "own", b"line")
    assert finished.summary_of(0) == IngestSummary({}, {"predicted": 1})
    begin(finished, "other", b"line")
    assert finished.summary_of(0) is None


def test_an_output_never_appears_without_one_of_its_files(finished):
    names = [finished.predictions_name(0), finished.rejects_name(0)]
    os.remove(finished.result(names[0]))
    with pytest.raises(
        TransientDataError, match="1 of 2 files are gone, such as predictions-00000"
    ):
        complete(finished, names, {})
    assert not os.path.exists(finished.final)
    assert not os.path.exists(finished.work)


def test_a_map_that_another_attempt_makes_is_no_reject_and_stays(tmp_path):
    scene = write_scene(tmp_path / "field.tif", smooth_ground(40, 50))
    lines = scene_lines([scene])
    paths = PredictionPaths(str(tmp_path / "out"), 1, "maps")
    begin(paths, "own", b"".join(lines))
    job = MapJob(MapConfig(vectors=()).model_dump_json(), PinnedModel("m", 1, "id"), "m", paths)
    writer = MapWriter(job, Network(contract_of()))
    [block] = blocks_of(lines)
    folder = tmp_path / ".out.unfinished/results" / UNFINISHED / scene.scene_id
    with only_run(folder, scene.scene_id):
        (folder / "state.json").write_text("of the other attempt")
        with pytest.raises(TransientDataError, match="another run is making this map"):
            writer.write(block)
        assert (folder / "state.json").exists()
    assert writer.write(block).images == {"mapped": 1}


class Failing(Network):
    """A network that runs out of memory the first time."""

    calls = 0

    def answer(self, tiles, view):
        self.calls += 1
        if self.calls == 1:
            raise DataError("out of memory")
        return super().answer(tiles, view)


def test_a_model_that_fails_once_loses_no_scene(tmp_path):
    scene = write_scene(tmp_path / "field.tif", smooth_ground(40, 50))
    lines = scene_lines([scene])
    paths = PredictionPaths(str(tmp_path / "out"), 1, "maps")
    begin(paths, "own", b"".join(lines))
    job = MapJob(MapConfig(vectors=()).model_dump_json(), PinnedModel("m", 1, "id"), "m", paths)
    writer = MapWriter(job, Failing(contract_of()))
    [block] = blocks_of(lines)
    with pytest.raises(TransientDataError, match="field: .*out of memory"):
        writer.write(block)
    assert paths.summary_of(0) is None
    assert writer.write(block).images == {"mapped": 1}


def test_tiles_that_a_map_lacks_are_no_images(tmp_path):
    whole = SceneMap(
        "field", tmp_path, (), (MapReject("field@0,0,8x8", "unreadable", "cut off"),) * 3
    )
    assert _summary(whole) == IngestSummary({}, {"mapped": 1}, ignored={"tile: unreadable": 3})
    assert _summary(MapReject("poor", "unknown_band", "nir")).rejects == {"unknown_band": 1}


def test_of_two_runs_into_one_folder_the_second_is_refused(tmp_path):
    paths = PredictionPaths(str(tmp_path / "out"), 1, "parquet")
    with only_run_into(paths):
        with pytest.raises(TransientDataError, match="another run writes into .*/out"):  # noqa: SIM117
            with only_run_into(PredictionPaths(f"{tmp_path}/x/../out/", 1, "maps")):
                pass
        with only_run_into(PredictionPaths(str(tmp_path / "other"), 1, "parquet")):
            pass
    with only_run_into(paths):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_map_does_not_lie_in_that_of_another_scene():
    def scenes(*ids):
        return [SceneSource(scene_id, (BandFile(f"/{scene_id}.tif", ()),)) for scene_id in ids]

    check_folders(scenes("a/b", "a/c", "ab", "a-b"))
    with pytest.raises(DataError, match="'a/b/c' would be in the folder of those of 'a'"):
        check_folders(scenes("a/b/c", "a"))


def test_names_that_are_no_text_stay_different():
    first, second = (os.fsdecode(b"field-" + byte + b".png") for byte in (b"\xe9", b"\xe8"))
    assert escaped(first) != escaped(second)
    assert escaped("\ud800").isascii()
    assert escaped("Weizenfäld.png") == "Weizenfäld.png"
