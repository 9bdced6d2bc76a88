"""Maps of scenes with a part that is unlike the training data: that part is masked."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from click.testing import CliRunner

from components.mapping.config import MapConfig
from components.mapping.in_process import InProcessModel
from components.mapping.maps import map_scene
from components.mapping.picture import UNKNOWN_RGB
from components.mapping.unknown import MASKED_RGB
from components.raster.errors import ConfigError, DataError
from pipelines.cli.map import command
from serving.tasks.detection.answer import BOX_LABELS_OUTPUT, BOX_SCORES_OUTPUT, BOXES_OUTPUT
from tests.components.mapping.networks import Network, contract_of, smooth_ground, write_scene
from tests.components.mapping.saved import save_that_tells_unknown

#: Column at which noise begins, and the scene's rows and columns.
SHAPE, NOISE_FROM, TILE_PX = (200, 400), 200, 64
QUIET = MapConfig(vectors=(), mask_unknown=99)


def half_noise(seed=0):
    """Patches of 8 pixels, and from `NOISE_FROM` on noise."""
    pixels = smooth_ground(*SHAPE)
    noise = np.random.default_rng(seed).integers(1, 1000, SHAPE)
    pixels[:, NOISE_FROM:] = noise[:, NOISE_FROM:]
    pixels[90:110, 20:40] = 0
    return pixels


class TellsUnknown(Network):
    """Returns percentile 100 for a tile with noise in its middle column, and 60 for others."""

    def answer(self, tiles, view):
        middles = np.array([it.key.window.col + it.key.window.width / 2 for it in tiles])
        message = np.where(middles > NOISE_FROM, 100, 60).astype(np.float32)
        answer = {"unknown_percentile": message}
        if self.contract.task == "segmentation":
            return {**super().answer(tiles, view), **answer}
        self.asked += [tile.key for tile in tiles]
        ones = np.ones(len(tiles), np.float32)
        return {
            **answer,
            "value": ones,
            "probabilities": np.stack([0 * ones, ones], axis=1),
            BOXES_OUTPUT: np.tile([[[20.0, 20, 40, 40]]], (len(tiles), 1, 1)),
            BOX_LABELS_OUTPUT: np.zeros((len(tiles), 1)),
            BOX_SCORES_OUTPUT: ones[:, np.newaxis],
        }


def network_of(task="segmentation", classes=("low", "middle", "high")):
    return TellsUnknown(contract_of(classes, task=task, size_px=TILE_PX, unknown="overall"))


def make(tmp_path, model, config=QUIET):
    tmp_path.mkdir(exist_ok=True)
    return map_scene(write_scene(tmp_path / "scene.tif", half_noise()), model, config, tmp_path)


def read(found, name):
    with rasterio.open(found.folder / f"{name}.tif") as dataset:
        return dataset.read(1)


def report_of(found):
    return json.loads((found.folder / "map.json").read_text())


def columns_masked(found, known):
    """The columns of which all, and of which any, known pixels have no class."""
    masked = (read(found, "classes") == 255) & known
    return (masked | ~known).all(axis=0), masked.any(axis=0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("telling")
    known = [smooth_ground(TILE_PX, TILE_PX, seed) for seed in range(1, 61)]
    tiles = np.stack(known)[..., np.newaxis].astype(np.float32)
    return save_that_tells_unknown(folder / "1", contract_of(size_px=TILE_PX), tiles)


def test_noise_is_masked_and_what_the_model_has_learnt_is_not(saved, tmp_path):
    """A tile that has some noise may be masked; one without is not."""
    found = make(tmp_path, InProcessModel(saved))
    known = half_noise() != 0
    all_masked, any_masked = columns_masked(found, known)
    assert all_masked[NOISE_FROM + TILE_PX :].all()
    assert not any_masked[: NOISE_FROM - TILE_PX].any()
    stored = read(found, "unknown")
    assert ((stored == 255) == ~known).all()
    assert ((read(found, "classes") == 255) == ((stored > 2 * 99) | ~known)).all()
    assert ((read(found, "confidence") == 255) == (read(found, "classes") == 255)).all()


def test_percentiles_are_blended_as_answers_are_and_the_map_tells_of_them(tmp_path):
    """Tiles begin at 0, 48, ...: that at 144 is known, that at 192 is not; they share 16 pixels."""
    found = make(tmp_path, network_of())
    row = read(found, "unknown")[0] / 2
    assert (row[:196] == 60).all()  # the outer quarter of what they share is one tile's alone
    assert (row[204:] == 100).all()
    assert (np.diff(row[196:204]) > 0).all()
    all_masked, any_masked = columns_masked(found, half_noise() != 0)
    assert (all_masked == (row > 99)).all()
    assert (any_masked == (row > 99)).all()
    asset = json.loads((found.folder / "item.json").read_text())["assets"]["unknown"]
    assert asset["href"] == "./unknown.tif"
    assert "above 99" in asset["description"]
    with rasterio.open(found.folder / "map.png") as picture:
        colours = picture.read()[:3].reshape(3, -1).T
    shares = [(colours == colour).all(axis=1).sum() for colour in (MASKED_RGB, UNKNOWN_RGB)]
    assert shares[0] > 10 * shares[1] > 0


def test_the_report_tells_how_much_was_masked(tmp_path):
    found = make(tmp_path, network_of())
    known = half_noise() != 0
    masked = int(((read(found, "unknown") / 2 > 99) & known).sum())
    assert report_of(found)["masked"] == {
        "above_percentile": 99,
        "unit": "pixels",
        "left_out": masked,
        "of": int(known.sum()),
        "share": round(masked / known.sum(), 6),
    }
    cells = make(tmp_path / "cells", network_of("single_label", ("low", "high")))
    rows = {name: report_of(cells)["masked"][name] for name in ("unit", "left_out", "of")}
    assert rows == {"unit": "cells", "left_out": 16, "of": 28}
    objects = make(tmp_path / "objects", network_of("detection", ("roof",)))
    assert report_of(objects)["masked"]["unit"] == "tiles"
    plain = make(tmp_path / "plain", network_of(), MapConfig(vectors=()))
    assert "masked" not in report_of(plain)


def test_a_percentile_of_100_only_tells(tmp_path):
    config = QUIET.model_copy(update={"mask_unknown": 100})
    found = make(tmp_path, network_of(), config)
    assert not columns_masked(found, half_noise() != 0)[1].any()
    assert set(np.unique(read(found, "unknown"))) >= {120, 200, 255}


def test_cells_of_masked_tiles_have_no_answer(tmp_path):
    config = MapConfig(mask_unknown=99)
    found = make(tmp_path, network_of("single_label", ("low", "high")), config)
    assert (read(found, "unknown")[0] == [120, 120, 120, 200, 200, 200, 200]).all()
    assert (read(found, "classes")[0] == [1, 1, 1, 255, 255, 255, 255]).all()
    message = pq.read_table(found.folder / "cells.parquet").to_pydict()["unknown_percentile"]
    assert message == [60] * 12
    (tmp_path / "all").mkdir()
    nothing = MapConfig(mask_unknown=0)
    found = make(tmp_path / "all", network_of("regression", ()), nothing)
    assert np.isnan(read(found, "values")).all()


def test_objects_of_masked_tiles_are_left_out_and_the_tiles_are_listed(tmp_path):
    found = make(tmp_path, network_of("detection", ("roof",)), MapConfig(mask_unknown=99))
    tiles, objects = (
        pq.read_table(found.folder / f"{name}.parquet").to_pydict() for name in ("tiles", "objects")
    )
    lefts = np.array([shapely.from_wkb(it).bounds[0] for it in tiles["geometry"]])
    assert tiles["masked"] == (lefts > 500_000 + 10 * (NOISE_FROM - TILE_PX / 2)).tolist()
    assert set(tiles["unknown_percentile"]) == {60, 100}
    ends = [shapely.from_wkb(it).bounds[2] for it in objects["geometry"]]
    assert max(ends) == 500_000 + 10 * (144 + 40)  # of the last known tile


def test_masked_tiles_narrower_than_a_pixel_of_the_picture_are_drawn(tmp_path):
    """8,800 columns are drawn in 978, and each tile has eight."""
    source = write_scene(tmp_path / "scene.tif", smooth_ground(8, 8800))
    config = MapConfig(mask_unknown=99, tile_px=8, batch=512, vectors=())
    found = map_scene(source, network_of("detection", ("roof",)), config, tmp_path)
    with rasterio.open(found.folder / "map.png") as picture:
        colours = picture.read()[:3].reshape(3, -1).T
    assert (colours == MASKED_RGB).all(axis=1).sum() > 700


@pytest.mark.parametrize("task", ["segmentation", "single_label", "detection"])
def test_a_killed_run_is_continued_to_the_same_masked_map(tmp_path, monkeypatch, task):
    monkeypatch.setattr("components.raster.tiles.reading._UNIT_BYTES", 1)
    monkeypatch.setattr("components.mapping.maps._FLOAT_BYTES", 10_000)
    classes = {"segmentation": ("low", "middle", "high"), "detection": ("roof",)}
    config = MapConfig(mask_unknown=99, checkpoint_s=0, batch=4)
    network = network_of(task, classes.get(task, ("low", "high")))
    (tmp_path / "whole").mkdir()
    whole = make(tmp_path / "whole", network, config)
    asked, network.asked, done = len(network.asked), [], []

    def kill(*progress):
        done.append(progress)
        if len(done) == 2:
            raise KeyboardInterrupt

    source = write_scene(tmp_path / "scene.tif", half_noise())
    with pytest.raises(KeyboardInterrupt):
        map_scene(source, network, config, tmp_path / "maps", on_progress=kill)
    network.asked = []
    again = map_scene(source, network, config, tmp_path / "maps")
    assert 0 < len(network.asked) < asked
    for name in sorted({*whole.files} - {"item.json"}):
        assert (whole.folder / name).read_bytes() == (again.folder / name).read_bytes(), name


def test_a_model_that_tells_nothing_unknown_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"train\.unknown: true, train and push it again"):
        make(tmp_path, Network(contract_of(size_px=TILE_PX)))
    earlier = Network(contract_of(size_px=TILE_PX, unknown="overall"))
    with pytest.raises(DataError, match="exported by an earlier version"):
        make(tmp_path, earlier)


def test_the_command_masks_and_takes_zeros_at_their_word(saved, tmp_path):
    write_scene(tmp_path / "scene.tif", half_noise(), nodata=None)
    arguments = [str(tmp_path / "scene.tif"), "-o", str(tmp_path / "maps")]
    arguments += ["--model-base", str(saved), "--vector", "none", "--overlap", "0"]
    done = CliRunner().invoke(command, [*arguments, "--nodata", "0", "--mask-unknown", "0"])
    assert done.exit_code == 0, done.output
    with rasterio.open(tmp_path / "maps" / "scene" / "unknown.tif") as dataset:
        assert ((dataset.read(1) == 255) == (half_noise() == 0)).all()
