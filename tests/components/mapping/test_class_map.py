"""Maps of classes, compared with the same network run over the whole scene at once."""

import json

import numpy as np
import pytest
import rasterio
import tifffile
from affine import Affine
from rio_cogeo.cogeo import cog_validate

from components.assessment.class_map import open_class_map
from components.assessment.draw import SamplePlan, draw_sample
from components.assessment.record import labelled_sample
from components.assessment.report import facts_of
from components.assessment.strata import StrataKind, strata_of
from components.mapping.config import MapConfig
from components.mapping.maps import map_scene
from components.mapping.progress import save_progress
from components.mapping.rejects import MapRejected
from components.raster.scene.rejects import SceneRejected
from tests.components.mapping.networks import (
    NORTH_UP,
    Network,
    contract_of,
    smooth_ground,
    write_scene,
)

QUIET = MapConfig(vectors=(), checkpoint_s=3600)


def classes_of(found):
    with rasterio.open(found.folder / "classes.tif") as dataset:
        return dataset.read(1)


def probabilities_of(found):
    with rasterio.open(found.folder / "probabilities.tif") as dataset:
        return dataset.read() * dataset.scales[0]


def make(tmp_path, pixels, config=QUIET, network=None, name="scene", **scene):
    source = write_scene(tmp_path / f"{name}.tif", pixels, **scene)
    network = network or Network(contract_of())
    return map_scene(source, network, config, tmp_path / "maps")


@pytest.mark.parametrize("strata", ["class", "confidence"])
def test_a_map_is_assessed_by_its_own_classes_and_confidence(tmp_path, strata):
    pixels = np.full((60, 80), 166, np.uint16)
    pixels[10:30, 10:50] = 500
    folder = make(tmp_path, pixels).folder
    source = open_class_map(folder / "classes.tif")
    divided = strata_of(source, StrataKind(strata), confidence=folder / "confidence.tif")
    design = draw_sample(source, divided, SamplePlan(size=40, minimum=10))
    labels = {it.id: "middle" if pixels[it.row, it.column] == 500 else "low" for it in design.units}
    facts = facts_of(design, labelled_sample(design, labels)[0])
    assert facts["overall"]["value"] == 1
    areas = {row["class"]: row["mapped_ha"] for row in facts["classes"]}
    assert areas["middle"] / (areas["middle"] + areas["low"]) == pytest.approx(800 / 4800, rel=1e-3)


def test_known_ground_is_found_on_the_map_to_the_pixel(tmp_path):
    pixels = np.full((150, 203), 166, np.uint16)  # the level of "low"
    pixels[37:41, 90:121] = 500
    pixels[149, 202] = 833
    pixels[100:110, 5:9] = 0
    found = make(tmp_path, pixels)
    with rasterio.open(found.folder / "classes.tif") as dataset:
        classes = dataset.read(1)
        assert (dataset.crs.to_epsg(), dataset.transform) == (32632, NORTH_UP)
        assert dataset.nodata == 255
        assert dataset.tags(1)["CLASSES"] == "low\tmiddle\thigh"
        assert dataset.colormap(1)[0] == (230, 159, 0, 255)
    expected = np.zeros(pixels.shape, np.uint8)
    expected[37:41, 90:121] = 1
    expected[149, 202] = 2
    expected[100:110, 5:9] = 255
    np.testing.assert_array_equal(classes, expected)
    with rasterio.open(found.folder / "confidence.tif") as dataset:
        confidence = dataset.read(1)
        assert (dataset.nodata, dataset.scales) == (255, (0.004,))
    assert (confidence == 255).sum() == 40
    # e^0 against e^-10 and e^-20: the levels are a third apart, times 30.
    assert confidence[0, 0] == 250


@pytest.mark.parametrize("name", ["classes", "confidence", "probabilities"])
def test_rasters_are_valid_cogs_with_overviews(tmp_path, name):
    config = QUIET.model_copy(update={"probabilities": True})
    found = make(tmp_path, smooth_ground(600, 700), config, Network(contract_of(size_px=128)))
    is_valid, errors, warnings = cog_validate(found.folder / f"{name}.tif", strict=True)
    assert is_valid, (errors, warnings)
    with rasterio.open(found.folder / f"{name}.tif") as dataset:
        assert dataset.overviews(1)
        assert (
            dataset.descriptions
            == {
                "classes": ("class",),
                "confidence": ("probability of the class",),
                "probabilities": ("low", "middle", "high"),
            }[name]
        )


def test_rasters_are_compressed_as_asked(tmp_path):
    pixels = smooth_ground(600, 700)
    found = {
        name: make(tmp_path, pixels, QUIET.model_copy(update={"compression": name}), name=name)
        for name in ("deflate", "zstd")
    }
    for name, one in found.items():
        assert cog_validate(one.folder / "confidence.tif", strict=True)[0]
        with rasterio.open(one.folder / "confidence.tif") as dataset:
            assert dataset.compression.name == name
    np.testing.assert_array_equal(classes_of(found["deflate"]), classes_of(found["zstd"]))


def whole_scene(network, pixels):
    return network.probabilities(pixels.astype(float), pixels != 0)


@pytest.mark.parametrize("blend", ["cosine", "crop"])
def test_an_overlap_of_four_times_what_the_network_sees_leaves_no_seam(tmp_path, blend):
    """The network sees 4 pixels around, and tiles share 16: the answer is that of one tile."""
    network = Network(contract_of(size_px=64), radius=2)
    pixels = smooth_ground(150, 170)
    config = MapConfig(vectors=(), probabilities=True, overlap=0.25, blend=blend)
    found = probabilities_of(make(tmp_path, pixels, config, network))
    assert abs(found - whole_scene(network, pixels)).max() <= 0.0021  # half a step of the bytes


class Coarse(Network):
    """Answers in a quarter of the pixels with a plane that rises evenly over the scene."""

    def answer(self, tiles, view):
        return {"class_probabilities": np.stack([self._of(tile.key.window) for tile in tiles])}

    def _of(self, window):
        rows = window.row + 2 * np.arange(window.height // 2) + 1
        cols = window.col + 2 * np.arange(window.width // 2) + 1
        first = rises(rows, cols)
        return np.stack([first, 1 - first, np.zeros_like(first)]).astype(np.float32)


def rises(rows, cols):
    """A plane of probabilities at edges of pixels, from the scene's corner."""
    return 0.1 + rows[:, np.newaxis] / 500 + cols / 1000


def test_coarser_answers_are_resampled_bilinearly(tmp_path):
    """An even plane stays one, but for the last half of a coarse pixel at the scene's edges."""
    config = MapConfig(vectors=(), probabilities=True)
    pixels = np.full((100, 130), 500, np.uint16)
    found = probabilities_of(make(tmp_path, pixels, config, Coarse(contract_of())))
    first = rises(np.arange(100) + 0.5, np.arange(130) + 0.5)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    expected = np.stack([first, 1 - first, np.zeros_like(first)])
    assert abs(found - expected)[inner].max() <= 0.0021  # half a step of the bytes


def test_blending_removes_the_seams_of_tiles_side_by_side(tmp_path):
    """A network that sees nearly half a tile: errors in columns at the borders of tiles."""
    network = Network(contract_of(size_px=64), radius=10)
    pixels = smooth_ground(256, 256)
    truth = whole_scene(network, pixels)

    def error(name, **settings):
        config = MapConfig(vectors=(), probabilities=True, **settings)
        found = make(tmp_path, pixels, config, network, name=name)
        return abs(probabilities_of(found) - truth)

    none, cosine = error("none", overlap=0), error("cosine", overlap=0.5)
    constant = error("constant", overlap=0.5, blend="constant")
    at_seam = (slice(None), slice(None), slice(62, 66))
    assert cosine[at_seam].mean() < none[at_seam].mean() / 4
    assert cosine.mean() < constant.mean() < none.mean()


def test_the_answer_hardly_depends_on_where_the_tiles_begin(tmp_path):
    """The same ground in a scene that begins 13 rows and 29 columns later."""
    network = Network(contract_of(size_px=64), radius=6)
    pixels = smooth_ground(260, 280)
    config = MapConfig(vectors=(), probabilities=True, overlap=0.5)
    first = probabilities_of(make(tmp_path, pixels, config, network, name="first"))
    second = probabilities_of(make(tmp_path, pixels[13:, 29:], config, network, name="second"))
    inner = (slice(None), slice(40, -40), slice(40, -40))
    differ = abs(first[:, 13:, 29:] - second)[inner]
    assert differ.max() < 0.1
    assert differ.mean() < 0.002


@pytest.mark.parametrize("shape", [(32, 32), (33, 95), (20, 300), (7, 5), (97, 31)])
@pytest.mark.parametrize("memory_mb", [8, 128])
def test_every_pixel_is_answered_whatever_the_shape(tmp_path, shape, memory_mb):
    pixels = smooth_ground(*shape, patch=3)
    config = MapConfig(vectors=(), memory_mb=memory_mb, overlap=0.5)
    classes = classes_of(make(tmp_path, pixels, config))
    np.testing.assert_array_equal(classes, np.minimum(pixels / (1000 / 3), 2).astype(np.uint8))


def test_columns_give_the_map_of_one_column(tmp_path, monkeypatch):
    network = Network(contract_of(size_px=64), radius=5)
    pixels = smooth_ground(300, 1000)
    config = MapConfig(vectors=(), probabilities=True)
    monkeypatch.setattr("components.mapping.blocks.BLOCK_PX", 64)
    whole = make(tmp_path, pixels, config, network, name="whole")
    asked = len(network.asked)
    monkeypatch.setattr("components.raster.tiles.reading._UNIT_BYTES", 1)
    monkeypatch.setattr("components.mapping.maps._FLOAT_BYTES", 10_000)
    narrow = make(tmp_path, pixels, config, network, name="narrow")
    assert len(network.asked) - asked > asked  # tiles on the borders of columns, twice
    assert abs(probabilities_of(whole) - probabilities_of(narrow)).max() <= 0.0041
    assert cog_validate(narrow.folder / "probabilities.tif", strict=True)[0]


def test_stored_the_wrong_way_up_becomes_the_same_map(tmp_path):
    pixels = smooth_ground(90, 120)
    usual = make(tmp_path, pixels, name="usual")
    south_up = make(
        tmp_path,
        pixels[::-1],
        name="south_up",
        transform=Affine(10, 0, 500_000, 0, 10, 5_300_000 - 900),
    )
    with (
        rasterio.open(usual.folder / "classes.tif") as one,
        rasterio.open(south_up.folder / "classes.tif") as other,
    ):
        assert one.transform == other.transform
        np.testing.assert_array_equal(one.read(1), other.read(1))


def test_a_rotated_scene_keeps_its_grid(tmp_path):
    turned = NORTH_UP * Affine.rotation(20)
    pixels = smooth_ground(50, 60)
    with rasterio.open(make(tmp_path, pixels, transform=turned).folder / "classes.tif") as dataset:
        assert dataset.transform.almost_equals(turned)
        np.testing.assert_array_equal(
            dataset.read(1), np.minimum(pixels / (1000 / 3), 2).astype(np.uint8)
        )


def test_a_scene_without_data_is_rejected_by_name(tmp_path):
    with pytest.raises(MapRejected, match=r"no_data.*none of its 4 tiles has a valid pixel"):
        make(tmp_path, np.zeros((40, 40), np.uint16))
    assert not (tmp_path / "maps" / "scene").exists()


def test_another_ground_sample_distance_is_rejected_or_resampled(tmp_path):
    coarse = np.kron(smooth_ground(40, 40, patch=10), np.ones((2, 2), np.uint16))
    fine = {"transform": Affine(5, 0, 500_000, 0, -5, 5_300_000)}
    with pytest.raises(MapRejected, match=r"wrong_gsd.*5 m apart.*of 10 m.*--resample"):
        make(tmp_path, coarse, **fine)
    config = MapConfig.model_validate(
        {"vectors": (), "reading": {"resample": True, "resampling": "nearest"}}
    )
    with rasterio.open(make(tmp_path, coarse, config, **fine).folder / "classes.tif") as dataset:
        assert (dataset.shape, dataset.transform) == ((40, 40), NORTH_UP)
        np.testing.assert_array_equal(
            dataset.read(1), np.minimum(coarse[::2, ::2] / (1000 / 3), 2).astype(np.uint8)
        )


def test_a_missing_band_is_named(tmp_path):
    contract = contract_of()
    image = contract.image.model_copy(update={"bands": ("nir",)})
    network = Network(contract.model_copy(update={"image": image}))
    with pytest.raises(SceneRejected, match=r"unknown_band.*no band 'nir'; it has gray"):
        make(tmp_path, smooth_ground(40, 40), network=network)


def test_numbers_of_another_scale_are_rejected(tmp_path):
    network = Network(contract_of(scalings={"gray": (0.0001, -0.1)}))
    with pytest.raises(MapRejected, match=r"wrong_scaling.*band gray is number \* 0.0001 - 0.1"):
        make(tmp_path, smooth_ground(40, 40), network=network)


def test_a_block_that_cannot_be_read_costs_its_tiles_alone(tmp_path):
    source = write_scene(tmp_path / "scene.tif", smooth_ground(128, 128), compress="deflate")
    with rasterio.open(tmp_path / "scene.tif") as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    with (tmp_path / "scene.tif").open("r+b") as file:
        file.seek(offset + 4)
        file.write(b"\xff" * 40)
    config = MapConfig(vectors=(), overlap=0)
    found = map_scene(source, Network(contract_of(size_px=64)), config, tmp_path / "maps")
    assert [reject.key for reject in found.rejects] == ["scene@64,64,64x64"]
    assert {reject.reason for reject in found.rejects} == {"unreadable_block"}
    classes = classes_of(found)
    assert (classes[64:, 64:] == 255).all()
    assert (classes != 255).sum() == 3 * 64 * 64
    assert json.loads((found.folder / "map.json").read_text())["rejects"]


def test_a_finished_map_is_not_made_again(tmp_path):
    pixels, network = smooth_ground(60, 60), Network(contract_of())
    assert make(tmp_path, pixels, network=network).is_new
    asked = len(network.asked)
    source = write_scene(tmp_path / "other.tif", pixels)
    again = map_scene(
        type(source)("scene", (type(source.files[0])(str(tmp_path / "scene.tif")),)),
        network,
        QUIET,
        tmp_path / "maps",
    )
    assert (again.is_new, len(network.asked)) == (False, asked)
    network.identity = "another"
    with pytest.raises(MapRejected, match=r"exists.*another map.*--overwrite"):
        make(tmp_path, pixels, network=network)


class Killed(Exception):
    pass


IN_MANY_BANDS = MapConfig(
    vectors=("parquet", "fgb", "geojson"), probabilities=True, checkpoint_s=0, batch=4
)


def in_many_bands(patched):
    patched.setattr("components.mapping.blocks.BLOCK_PX", 64)
    patched.setattr("components.raster.tiles.reading._UNIT_BYTES", 1)
    patched.setattr("components.mapping.maps._FLOAT_BYTES", 10_000)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A scene, its map that was made in many bands, and the number of calls of the network."""
    folder = tmp_path_factory.mktemp("undisturbed")
    source = write_scene(folder / "scene.tif", smooth_ground(400, 500))
    network = Network(contract_of(size_px=64), radius=3)
    with pytest.MonkeyPatch.context() as patched:
        in_many_bands(patched)
        whole = map_scene(source, network, IN_MANY_BANDS, folder / "whole")
    return source, whole, len(network.asked)


def test_a_run_killed_while_it_saves_continues_from_the_checkpoint_before(
    undisturbed, tmp_path, monkeypatch
):
    in_many_bands(monkeypatch)
    source, whole, _ = undisturbed
    network = Network(contract_of(size_px=64), radius=3)
    saved = []

    def killed_at_the_third(*state):
        saved.append(state)
        if len(saved) == 3:
            raise Killed
        save_progress(*state)

    monkeypatch.setattr("components.mapping.progress.save_progress", killed_at_the_third)
    with pytest.raises(Killed):
        map_scene(source, network, IN_MANY_BANDS, tmp_path / "maps")
    again = map_scene(source, network, IN_MANY_BANDS, tmp_path / "maps")
    for name in ("classes.tif", "confidence.tif", "map.png"):
        assert (whole.folder / name).read_bytes() == (again.folder / name).read_bytes(), name


def levels(found, name):
    """Returns the pixels of a raster and of its overviews."""
    with tifffile.TiffFile(found.folder / name) as file:
        return [level.asarray() for level in file.series[0].levels]


@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_killed_run_is_continued_and_gives_the_same_bytes(
    undisturbed, tmp_path, monkeypatch, after
):
    in_many_bands(monkeypatch)
    source, whole, all_asked = undisturbed
    network = Network(contract_of(size_px=64), radius=3)
    bands = []

    def kill(done, total):
        bands.append(done)
        if len(bands) == after:
            raise Killed

    with pytest.raises(Killed):
        map_scene(source, network, IN_MANY_BANDS, tmp_path / "maps", on_progress=kill)
    assert not (tmp_path / "maps" / "scene").exists()
    network.asked = []
    again = map_scene(source, network, IN_MANY_BANDS, tmp_path / "maps")
    assert 0 < len(network.asked) <= all_asked
    assert after == 1 or len(network.asked) < all_asked
    for name in sorted({*whole.files} - {"item.json"}):  # which has the time
        if name.endswith(".tif"):  # first, so that a failure shows where pixels differ
            for own, other in zip(levels(whole, name), levels(again, name), strict=True):
                np.testing.assert_array_equal(own, other, name)
        assert (whole.folder / name).read_bytes() == (again.folder / name).read_bytes(), name
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["scene"]


def test_what_an_earlier_version_left_unfinished_is_made_from_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr("components.raster.tiles.reading._UNIT_BYTES", 1)
    config = MapConfig(vectors=(), checkpoint_s=0)
    network = Network(contract_of(size_px=64), radius=3)
    source = write_scene(tmp_path / "scene.tif", smooth_ground(300, 100))
    whole = map_scene(source, network, config, tmp_path / "whole")
    all_asked, network.asked = network.asked, []

    def kill(done, total):
        if done > total / 2:
            raise Killed

    with pytest.raises(Killed):
        map_scene(source, network, config, tmp_path / "maps", on_progress=kill)
    [state] = (tmp_path / "maps").rglob("state.json")
    earlier = json.loads(state.read_text())
    del earlier["format"]
    state.write_text(json.dumps(earlier))
    network.asked = []
    again = map_scene(source, network, config, tmp_path / "maps")
    assert network.asked == all_asked
    assert (whole.folder / "classes.tif").read_bytes() == (
        again.folder / "classes.tif"
    ).read_bytes()
