"""Rasters stored any way up: the same pixel on the same ground as GDAL has it."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ingest.rasters.scenes.labels.config import MaskLabels
from components.ingest.rasters.scenes.labels.masks import SceneMaskReader
from components.raster.labels.boxes import BoxFile, place_boxes, read_boxes
from components.raster.labels.class_raster import ClassLegend, colour_codes
from components.raster.pictures.overview import scene_picture
from components.raster.scene.grid import Grid
from components.raster.scene.orientation import UPRIGHT, upright_grid
from components.raster.scene.probe import open_scene
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.key import Window
from components.raster.tiles.parts import plan_parts
from components.raster.tiles.reading import read_tiles, read_window
from components.raster.tiles.tile import Tile
from components.raster.tiles.tiling import Tiling, plan_tiles
from components.raster.tiles.view import View, Warp, view_scene
from components.raster.truth.detection import tile_boxes

HEIGHT, WIDTH = 37, 53
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_300_000)
#: From (column, row) of the file to (column, row) of the map above, for each way to store it.
WAYS = {
    "north_up": Affine.identity(),
    "south_up": Affine(1, 0, 0, 0, -1, HEIGHT),
    "mirrored": Affine(-1, 0, WIDTH, 0, 1, 0),
    "upside_down": Affine(-1, 0, WIDTH, 0, -1, HEIGHT),
    "transposed": Affine(0, 1, 0, 1, 0, 0),
    "quarter_turn": Affine(0, -1, WIDTH, 1, 0, 0),
    "other_quarter": Affine(0, 1, 0, -1, 0, HEIGHT),
    "other_diagonal": Affine(0, -1, WIDTH, -1, 0, HEIGHT),
}
UPRIGHT_PIXELS = np.arange(1, HEIGHT * WIDTH * 2 + 1, dtype="uint16").reshape(HEIGHT, WIDTH, 2)


def stored(pixels: npt.NDArray[Any], way: Affine) -> npt.NDArray[Any]:
    """Stores (H, W, ...) pixels in an orientation, one by one from the definition."""
    height, width = pixels.shape[:2]
    turned = way.a == 0
    out = np.empty((width, height) if turned else (height, width), object)
    for row, col in np.ndindex(out.shape):
        x, y = way * (col + 0.5, row + 0.5)
        out[row, col] = pixels[int(y), int(x)]
    return np.array(out.tolist(), pixels.dtype)


@pytest.fixture(scope="session")
def store(write_raster: Any) -> Any:
    """Writes (H, W, C) pixels in one of the ways."""

    def write(pixels: npt.NDArray[Any], way: str, name: str, **profile: Any) -> str:
        mask = profile.pop("mask", None)
        return str(
            write_raster(
                stored(pixels, WAYS[way]),
                f"{way}/{name}.tif",
                transform=NORTH_UP * WAYS[way],
                mask=None if mask is None else stored(mask, WAYS[way]),
                **profile,
            )
        )

    return write


def view_of(path: str, warp: Warp | None = None, **options: Any) -> View:
    return view_scene(open_scene(SceneSource("scene", (BandFile(path),)), **options), warp=warp)


def whole_of(view: View) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    return read_window(view, Window(0, 0, view.grid.height_px, view.grid.width_px))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("warp", [None, Warp(crs="EPSG:32632"), Warp(gsd_m=10)])
def test_every_way_to_store_a_scene_is_one_scene(store: Any, way: str, warp: Warp | None) -> None:
    mask = np.ones((HEIGHT, WIDTH), np.bool_)
    mask[:5, 7:] = False
    view = view_of(store(UPRIGHT_PIXELS, way, "masked", mask=mask), warp)
    assert view.grid == Grid(HEIGHT, WIDTH, NORTH_UP, "EPSG:32632")
    assert view.resampling is None
    pixels, valid = whole_of(view)
    np.testing.assert_array_equal(pixels, UPRIGHT_PIXELS)
    np.testing.assert_array_equal(valid, mask)
    assert all(str(number) != "-0.0" for number in view.grid.transform)


@pytest.mark.parametrize("way", WAYS)
def test_a_warp_does_not_see_how_a_scene_is_stored(store: Any, way: str) -> None:
    warp = Warp(crs="EPSG:3035", gsd_m=12, resampling="nearest")
    expected = whole_of(view_of(store(UPRIGHT_PIXELS, "north_up", "warped", nodata=7), warp))
    found = whole_of(view_of(store(UPRIGHT_PIXELS, way, "warped", nodata=7), warp))
    np.testing.assert_array_equal(found[1], expected[1])
    # Where a target pixel's centre lies on the edge of two pixels, either is nearest.
    assert (found[0] == expected[0]).all(axis=2).mean() > 0.995


@settings(max_examples=12)
@given(
    way=st.sampled_from(sorted(WAYS)),
    size=st.integers(5, 40),
    stride=st.integers(4, 40),
    edge=st.sampled_from(["pad", "snap"]),
    parts=st.integers(1, 4),
    blocks=st.sampled_from(
        [{}, {"blockysize": 5}, dict.fromkeys(("blockxsize", "blockysize"), 16)]
    ),
)
def test_tiles_of_any_storage_put_together_are_the_scene(
    store: Any, way: str, size: int, stride: int, edge: Any, parts: int, blocks: dict[str, int]
) -> None:
    name = "blocks" + "".join(map(str, blocks.values()))
    tiled = {"tiled": True} if "blockxsize" in blocks else {}
    view = view_of(store(UPRIGHT_PIXELS, way, name, **blocks, **tiled))
    tiling = Tiling(size_px=size, stride_px=min(stride, size), edge=edge)
    plan = plan_tiles("scene", view.grid, tiling)
    seen = np.zeros((HEIGHT, WIDTH), np.bool_)
    for part in plan_parts(plan, parts, view.block_shape, view.block_shift):
        for tile in read_tiles(view, part, threads=1, memory_bytes=5_000):
            assert isinstance(tile, Tile)
            there = tile.key.window.intersection(plan.extent)
            here = there.relative_to(tile.key.window).slices
            np.testing.assert_array_equal(tile.pixels[here], UPRIGHT_PIXELS[there.slices])
            row, col = tile.key.window.row, tile.key.window.col
            assert tile.transform == NORTH_UP * Affine.translation(col, row)
            seen[there.slices] = True
    assert seen.all()


@pytest.mark.parametrize("way", WAYS)
def test_blocks_of_a_file_are_read_whole(store: Any, way: str, monkeypatch: Any) -> None:
    """No unit of reading ends within a block of the file, wherever its first corner lies."""
    from components.raster.tiles import reading

    monkeypatch.setattr(reading, "_UNIT_BYTES", 1)
    path = store(UPRIGHT_PIXELS, way, "tiled", tiled=True, blockxsize=16, blockysize=16)
    view = view_of(path)
    read = []
    own = reading.ViewReader.read

    def noted(self: Any, window: Window) -> Any:
        read.append(window)
        return own(self, window)

    monkeypatch.setattr(reading.ViewReader, "read", noted)
    plan = plan_tiles("scene", view.grid, Tiling(size_px=10))
    [part] = plan_parts(plan, 1, view.block_shape, view.block_shift)
    assert len(list(read_tiles(view, part, threads=1))) == 24
    with rasterio.open(path) as dataset:
        blocks = [window for _, window in dataset.block_windows(1)]
    corners = {(it.row, it.col): (it.bottom, it.right) for it in read}
    to_map = WAYS[way]
    for block in blocks:
        ends = [
            to_map * (block.col_off, block.row_off),
            to_map * (block.col_off + block.width, block.row_off + block.height),
        ]
        (left, right), (top, bottom) = (sorted(end) for end in zip(*ends, strict=True))
        assert corners[(top, left)] == (bottom, right)
    assert len(read) == len(blocks) == 12


def test_bands_of_one_scene_may_be_stored_differently(store: Any) -> None:
    files = (
        BandFile(store(UPRIGHT_PIXELS[..., :1], "south_up", "B1"), ("B1",)),
        BandFile(store(UPRIGHT_PIXELS[..., 1:], "quarter_turn", "B2"), ("B2",)),
    )
    pixels, _ = whole_of(view_scene(open_scene(SceneSource("scene", files))))
    np.testing.assert_array_equal(pixels, UPRIGHT_PIXELS)


@pytest.mark.parametrize("angle", [20, 160, 200, 340, 70, 110])
def test_a_rotated_raster_keeps_its_pixels_and_the_nearest_way_up(
    write_raster: Any, angle: int
) -> None:
    affine = Affine.translation(500_000, 5_300_000) * Affine.rotation(angle) * Affine.scale(10, -10)
    path = write_raster(UPRIGHT_PIXELS, f"rotated/{angle}.tif", transform=affine)
    view = view_of(str(path))
    a, b, _, d, e, _ = view.grid.transform[:6]
    assert a > abs(d)
    assert -e > abs(b)
    pixels, _ = whole_of(view)
    assert sorted(pixels.ravel()) == sorted(UPRIGHT_PIXELS.ravel())
    x, y = view.grid.transform * (2.5, 4.5)
    col, row = ~affine * (x, y)
    np.testing.assert_array_equal(pixels[4, 2], UPRIGHT_PIXELS[int(row), int(col)])


def test_without_a_crs_nothing_tells_which_way_is_up() -> None:
    for transform in (Affine.identity(), Affine(10, 0, 0, 0, 10, 0)):
        plain = Grid(3, 4, transform, None)
        assert upright_grid(plain) == (plain, UPRIGHT)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mask_way", ["south_up", "north_up", None])
@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_mask_lies_on_the_ground_of_its_scene(
    store: Any, write_raster: Any, tmp_path: Any, way: str, mask_way: str | None, coloured: bool
) -> None:
    """Whichever way each is stored; one without a map is stored like its scene."""
    truth = (np.arange(HEIGHT * WIDTH) % 3).astype("uint8").reshape(HEIGHT, WIDTH, 1)
    drawn = np.concatenate([truth * 80, truth, truth + 9], axis=2) if coloured else truth
    view = view_of(store(UPRIGHT_PIXELS, way, "image"))
    at = WAYS[way if mask_way is None else mask_way]
    write_raster(
        stored(drawn, at),
        str(tmp_path / "image.tif"),
        crs=None if mask_way is None else "EPSG:32632",
        transform=Affine.identity() if mask_way is None else NORTH_UP * at,
    )
    colours = {"#000009": "a", "#50010A": "b", "#A0020B": "c"}
    legend = (
        ClassLegend(colours=colours) if coloured else ClassLegend(values={0: "a", 1: "b", 2: "c"})
    )
    of_scene = SceneMaskReader(MaskLabels(folder=str(tmp_path), legend=legend)).codes_of
    codes = of_scene(view, str(tmp_path / "image.tif"))
    window = Window(3, 5, 30, 60)
    found, known = codes(window)
    expected = colour_codes(drawn) if coloured else truth[..., 0]
    np.testing.assert_array_equal(found[:, :48], expected[3:33, 5:])
    assert known[:, :48].all()
    assert not known[:, 48:].any()


@pytest.mark.parametrize("way", WAYS)
def test_boxes_in_a_file_s_own_pixels_lie_on_the_same_ground(tmp_path: Any, way: str) -> None:
    """The object fills rows 4 to 9 and columns 20 to 28 of the upright scene."""
    there = np.zeros((HEIGHT, WIDTH, 1), "uint8")
    there[4:10, 20:29] = 1
    drawn = stored(there, WAYS[way])[..., 0]
    rows, cols = np.nonzero(drawn)
    left, top = int(cols.min()), int(rows.min())
    box = [left, top, int(cols.max()) + 1 - left, int(rows.max()) + 1 - top]
    size = {"width": drawn.shape[1], "height": drawn.shape[0]}
    (tmp_path / "boxes.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "image.tif", **size}],
                "categories": [{"id": 1, "name": "car"}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box}],
            }
        )
    )
    labels = read_boxes(BoxFile(path=str(tmp_path / "boxes.json")))
    grid = Grid(*drawn.shape, NORTH_UP * WAYS[way], "EPSG:32632")
    upright, orientation = upright_grid(grid)
    size_px = upright.height_px, upright.width_px
    placed, rejects = place_boxes(labels, 0, size_px, ("car",), orientation=orientation)
    assert not rejects
    found = tile_boxes(placed, Window(0, 0, HEIGHT, WIDTH), min_visible=0.5)
    assert found.edges_px.tolist() == [[4, 20, 10, 29]]


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_of_a_scene_is_upright(store: Any, way: str) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 1), "uint8")
    pixels[: HEIGHT // 2] = 100
    pixels[: HEIGHT // 2, : WIDTH // 2] = 200
    picture = scene_picture(view_of(store(pixels, way, "drawn")), (0,), side_px=20)
    corners = picture[[0, 0, -1, -1], [0, -1, 0, -1], 0].tolist()
    assert corners == [255, 128, 0, 0]
