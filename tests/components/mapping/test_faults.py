"""Faults of scenes, models and disks: each is reported, and costs no more than it must."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from components.mapping.config import MapConfig
from components.mapping.maps import SceneMap, map_scenes
from components.mapping.rasters import GrowingRaster
from components.mapping.rejects import MapReject
from components.mapping.sources import scenes_at
from components.raster.errors import ConfigError, DataError
from serving.client import ServerUnavailable
from tests.components.mapping.networks import Network, contract_of, smooth_ground, write_scene
from tests.own_disk import with_own_disk

QUIET = MapConfig(vectors=())


class Fails(Network):
    """Fails on the scene `bad`, with the error that it is given."""

    error = DataError("the model failed: out of memory")

    def answer(self, tiles, view):
        if view.scene.scene_id == "bad":
            raise self.error
        return super().answer(tiles, view)


@pytest.fixture
def three(tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("bad", "first", "last"):
        write_scene(folder / f"{name}.tif", smooth_ground(40, 50))
    return scenes_at([str(folder)], QUIET.reading).sources


def test_a_scene_on_which_the_model_fails_is_a_reject_and_the_others_go_on(three, tmp_path):
    bad, *others = map_scenes(three, Fails(contract_of()), QUIET, tmp_path / "maps")
    assert bad == MapReject("bad", "model_failed", "the model failed: out of memory")
    assert [it.scene_id for it in others if isinstance(it, SceneMap)] == ["first", "last"]


def test_a_server_that_is_gone_ends_the_run_and_the_next_one_goes_on(three, tmp_path):
    model = Fails(contract_of())
    model.error = ServerUnavailable("no server")
    with pytest.raises(ServerUnavailable):
        list(map_scenes([*three[1:], three[0]], model, QUIET, tmp_path / "maps"))
    model.error = DataError("still broken")
    again = list(map_scenes(three, model, QUIET, tmp_path / "maps"))
    assert [it.is_new for it in again[1:]] == [False, False]


def test_another_map_is_replaced_only_when_asked(three, tmp_path):
    output, scene = tmp_path / "maps", three[1:2]
    [first] = map_scenes(scene, Network(contract_of()), QUIET, output)
    (first.folder / "own-notes.txt").write_text("mine")
    newer = Network(contract_of())
    newer.identity = "newer"
    [refused] = map_scenes(scene, newer, QUIET, output)
    assert (refused.key, refused.reason) == ("first", "exists")
    assert (first.folder / "own-notes.txt").exists()
    [replaced] = map_scenes(scene, newer, QUIET, output, overwrite=True)
    assert replaced.is_new
    assert not (first.folder / "own-notes.txt").exists()


def test_overwriting_replaces_maps_alone(three, tmp_path):
    output, scene = tmp_path / "maps", three[1:2]

    def refused(scenes=scene):
        [found] = map_scenes(scenes, Network(contract_of()), QUIET, output, overwrite=True)
        assert found.reason == "exists"
        return found.detail

    notes = output / "first/notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    assert "is not a map of this command" in refused()
    assert notes.read_text() == "mine"
    shutil.rmtree(output)
    output.mkdir()
    (output / "first").symlink_to(tmp_path / "scenes")
    assert "is a link" in refused()
    (output / "first").unlink()
    (output / "first").mkdir()  # an empty folder is replaced by anyone
    [made] = map_scenes(scene, Network(contract_of()), QUIET, output)
    inside = write_scene(made.folder / "first.tif", smooth_ground(40, 50))
    assert "holds the scene itself" in refused([inside])
    assert (made.folder / "first.tif").exists()


def test_a_scene_that_is_replaced_while_it_is_read_has_no_map(three, tmp_path):
    output, scene = tmp_path / "maps", three[1:2]
    replaced = []

    def replace_once(done, total):
        if not replaced:
            replaced.append(write_scene(tmp_path / "scenes/first.tif", smooth_ground(40, 50, 1)))

    [lost] = map_scenes(
        scene, Network(contract_of()), QUIET, output, on_scene=lambda _: replace_once
    )
    assert (lost.key, lost.reason) == ("first", "changed")
    assert not (output / "first").exists()
    [made] = map_scenes(scene, Network(contract_of()), QUIET, output)
    assert made.is_new


def test_a_second_run_on_a_scene_is_refused_while_one_is_going_on(three, tmp_path):
    output, scene, network = tmp_path / "maps", three[1:2], Network(contract_of())
    meanwhile = []

    def begin_another(done, total):
        meanwhile.extend(map_scenes(scene, network, QUIET, output))

    [first] = map_scenes(scene, network, QUIET, output, on_scene=lambda _: begin_another)
    assert {(it.key, it.reason) for it in meanwhile} == {("first", "busy")}
    assert first.is_new
    [again] = map_scenes(scene, network, QUIET, output)
    assert not again.is_new
    assert [path.name for path in output.iterdir()] == ["first"]


def test_a_run_killed_between_the_finished_files_is_continued(three, tmp_path, monkeypatch):
    config, scene = QUIET.model_copy(update={"checkpoint_s": 0}), three[1:2]
    [whole] = map_scenes(scene, Network(contract_of()), config, tmp_path / "whole")
    write = GrowingRaster.to_cog

    def killed_at_the_second(raster, folder):
        if raster.spec.name == "confidence":
            raise KeyboardInterrupt
        return write(raster, folder)

    monkeypatch.setattr(GrowingRaster, "to_cog", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        list(map_scenes(scene, Network(contract_of()), config, tmp_path / "maps"))
    monkeypatch.undo()
    network = Network(contract_of())
    [again] = map_scenes(scene, network, config, tmp_path / "maps")
    assert network.asked == [], "the model had answered all tiles"
    for name in ("classes.tif", "confidence.tif", "map.json"):
        assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["first"]


def test_two_scenes_of_one_name_are_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_scene(tmp_path / name / "scene.tif", smooth_ground(40, 40))
    with pytest.raises(DataError, match="'scene'"):
        scenes_at([str(tmp_path / name / "scene.tif") for name in ("one", "two")], QUIET.reading)
    with pytest.raises(DataError, match="neither a folder nor a file"):
        scenes_at([str(tmp_path / "three")], QUIET.reading)


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a")])
def test_a_map_never_lies_in_that_of_another_scene_nor_replaces_it(tmp_path, first, second):
    output = tmp_path / "maps"
    source = write_scene(tmp_path / "scene.tif", smooth_ground(40, 50))
    network = Network(contract_of())
    [made] = map_scenes([replace(source, scene_id=first)], network, QUIET, output)
    before = sorted(output.rglob("*"))
    for overwrite in (False, True):
        [reject] = map_scenes(
            [replace(source, scene_id=second)], network, QUIET, output, overwrite=overwrite
        )
        assert isinstance(reject, MapReject)
        assert reject.reason == "exists"
        assert f"the map of another scene is in {made.folder}" in reject.detail
    assert sorted(output.rglob("*")) == before


@pytest.mark.parametrize("name", ["../away", "/tmp/away", "a/../../b", ".unfinished", "."])
def test_a_name_that_leads_out_of_the_output_folder_is_a_reject(three, tmp_path, name):
    source = replace(three[1], scene_id=name)
    [found] = map_scenes([source], Network(contract_of()), QUIET, tmp_path / "maps")
    assert (found.key, found.reason) == (name, "bad_name")
    assert sorted(it.name for it in tmp_path.iterdir()) == ["scenes"]


def test_bands_can_be_named_by_position_for_files_of_other_names(tmp_path):
    contract = contract_of()
    image = contract.image.model_copy(update={"bands": ("nir",)})
    network = Network(contract.model_copy(update={"image": image}))
    config = MapConfig.model_validate({"vectors": (), "reading": {"bands": (1,)}})
    source = write_scene(tmp_path / "scene.tif", smooth_ground(40, 40))
    [found] = map_scenes([source], network, config, tmp_path / "maps")
    assert isinstance(found, SceneMap)


def test_a_model_that_square_tiles_do_not_fill_is_refused(tmp_path):
    source = write_scene(tmp_path / "scene.tif", smooth_ground(40, 40))
    contract = contract_of()
    wide = contract.image.model_copy(update={"width_px": 64, "fit": "pad"})
    network = Network(contract.model_copy(update={"image": wide, "tiles": None}))
    with pytest.raises(ConfigError, match="32 to 64 pixels a side.*--tile-px"):
        list(map_scenes([source], network, QUIET, tmp_path / "maps"))
    config = MapConfig(vectors=(), tile_px=32)
    with pytest.raises(ConfigError, match="fitted by pad: square tiles"):
        list(map_scenes([source], network, config, tmp_path / "maps"))


def test_floats_with_infinite_pixels_are_unknown_there(tmp_path):
    import rasterio

    pixels = smooth_ground(40, 40).astype(np.float32)
    pixels[3, 4], pixels[5, 6] = np.inf, np.nan
    source = write_scene(tmp_path / "scene.tif", pixels)
    [found] = map_scenes([source], Network(contract_of()), QUIET, tmp_path / "maps")
    with rasterio.open(found.folder / "classes.tif") as dataset:
        unknown = np.argwhere(dataset.read(1) == 255)
    np.testing.assert_array_equal(unknown, [[3, 4], [5, 6]])


IN_A_SMALL_DISK = """
import sys
from pathlib import Path
from components.mapping.config import MapConfig
from components.mapping.maps import map_scenes
from components.raster.full_disk import DiskFull
from components.raster.scene.scene import BandFile, SceneSource
from tests.components.mapping.networks import Network, contract_of
scene, output = SceneSource("scene", (BandFile(sys.argv[1]),)), Path(sys.argv[2]) / "maps"
try:
    network = Network(contract_of(size_px=64))
    print(list(map_scenes([scene], network, MapConfig(vectors=()), output)))
except DiskFull as error:
    print(error)
print((output / "scene").exists())
"""


@pytest.mark.parametrize("size", ["400k", "900k", "1100k", "1700k"])
def test_a_full_disk_ends_the_run_and_leaves_no_half_map(tmp_path, size):
    """On a small disk of its own: full for blocks, overviews, and finished files."""
    write_scene(tmp_path / "scene.tif", smooth_ground(900, 900, patch=1))
    (tmp_path / "disk").mkdir()
    command = with_own_disk(tmp_path / "disk", f"size={size}")
    arguments = [str(tmp_path / "scene.tif"), str(tmp_path / "disk")]
    done = subprocess.run(
        [*command, sys.executable, "-c", IN_A_SMALL_DISK, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.stdout.startswith(f"The disk of {tmp_path}/disk/maps/.unfinished/scene")
    assert "is full. Make room there" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
