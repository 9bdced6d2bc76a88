"""Names of the bands of scenes: from the delivery, from the user, or by position."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.ingest.config import IngestConfig
from components.ingest.rasters.scenes.config import ScenesSource
from components.ingest.rasters.views import open_view, open_views
from components.raster.band_names import listed_bands
from components.raster.image import ImageSpec
from components.raster.reasons import Reason
from components.raster.scene.folders import find_scenes
from components.raster.scene.probe import open_scene
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, Scene, SceneSource
from components.raster.scene.sensors import common_name_of, sensor_band
from components.raster.tiles.key import Window
from components.raster.tiles.reading import read_window
from components.raster.tiles.view import View, view_scene

WriteRaster = Callable[..., Path]

TILE = "T32TQM_20220101T101411"
LANDSAT = "LC09_L2SP_191027_20220601_20220603_02_T1"


@pytest.fixture
def write(write_raster: WriteRaster, tmp_path: Path) -> Callable[..., Path]:
    """Writes a raster of a constant for each band, below the test's own folder."""

    def of(name: str, *values: int, **options: Any) -> Path:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8, len(values)), values, np.uint16)
        return write_raster(pixels, str(tmp_path / name), **options)

    return of


def values_of(scene: Scene, *bands: str | int) -> list[int]:
    """The constant of each of some bands."""
    pixels, _ = read_window(view_scene(scene, bands), Window(0, 0, 8, 8))
    return [int(value) for value in pixels[0, 0]]


def only_scene(root: Path, wanted: tuple[str | int, ...] = (), **options: Any) -> Scene:
    [found] = find_scenes(str(root), **options)
    return open_scene(found, wanted=wanted)


@pytest.mark.parametrize(
    ("path", "name", "common"),
    [
        (f"{TILE}_B02_10m.jp2", "B02", "blue"),
        (f"{TILE}_B8A_20m.jp2", "B8A", "nir08"),
        (f"{TILE}_B10.jp2", "B10", "cirrus"),
        (f"{TILE}_SCL_20m.jp2", "SCL", None),
        ("S2A_OPER_MSI_L1C_TL_EPA__20160605T113933_A000734_T32TQM_B03.jp2", "B03", "green"),
        ("HLS.S30.T32TQM.2022001T101411.v2.0.B05.tif", "B05", "rededge071"),
        ("HLS.L30.T32TQM.2022001T101411.v2.0.B05.tif", "B05", "nir08"),
        ("field_B04.tif", "B04", None),
        (f"{LANDSAT}_SR_B4.TIF", "B4", "red"),
        (f"{LANDSAT}_ST_B10.TIF", "B10", "lwir11"),
        (f"{LANDSAT}_QA_PIXEL.TIF", "QA_PIXEL", None),
        ("LC08_L1TP_191027_20220601_20220603_02_T1_B5.TIF", "B5", "nir08"),
        ("LE07_L1TP_191027_20020601_20200603_02_T1_B6_VCID_2.TIF", "B6_VCID_2", "lwir"),
        ("LT52240631988227CUB02_B4.TIF", "B4", "nir08"),
        ("LM05_L1TP_191027_19840601_20200603_02_T2_B2.TIF", "B2", "red"),
        ("LM02_L1TP_191027_19780601_20200603_02_T2_B5.TIF", "B5", "red"),
    ],
)
def test_names_of_files_as_agencies_deliver_them(path: str, name: str, common: str | None) -> None:
    band = sensor_band(path)
    assert band is not None
    assert (band.name, band.common_name) == (name, common)


@pytest.mark.parametrize("path", ["B1.tif", "ortho.tif", "my_B2B_plan.tif", "Lake_B3x.tif"])
def test_other_names_of_files_tell_no_band(path: str) -> None:
    assert sensor_band(path) is None


def test_what_tags_and_descriptions_tell_together() -> None:
    assert common_name_of("B5", "LANDSAT_8_OLI") == "nir08"
    assert common_name_of("SR_B5", "LANDSAT_5_TM") == "swir16"
    assert common_name_of("B2", "LANDSAT_5_MSS") == "red"
    assert common_name_of("B8A", "Sentinel-2A_MSI") == "nir08"
    assert common_name_of("B8A", "drone") is None


def test_a_folder_of_sentinel_2_is_asked_by_band_or_common_name(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    for value, band in enumerate(("B02_10m", "B03_10m", "B04_10m", "B08_10m"), start=2):
        write(f"s2/{TILE}_{band}.tif", value)
    scene = only_scene(tmp_path / "s2", layout="folder")
    assert values_of(scene, "red", "B02", "nir", f"{TILE}_B03_10m") == [4, 2, 8 - 3, 3]


def test_of_one_band_in_several_sizes_the_finest_has_its_name(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    for value, size in ((10, "10m"), (20, "20m"), (60, "60m")):
        write(f"s2/{TILE}_B02_{size}.tif", value)
    write(f"s2/{TILE}_B05_20m.tif", 5)
    scene = only_scene(tmp_path / "s2", layout="folder")
    assert values_of(scene, "B02", "blue", "B02_10m", "B02_20m", "B02_60m", "B05") == [
        *(10, 10, 10, 20, 60, 5)
    ]


def test_two_dates_in_one_folder_are_ambiguous(write: Callable[..., Path], tmp_path: Path) -> None:
    for day in ("20220101", "20220301"):
        write(f"s2/T32TQM_{day}T101411_B02_10m.tif", 1)
    with pytest.raises(SceneRejected, match="separate folder") as caught:
        only_scene(tmp_path / "s2", layout="folder")
    assert caught.value.reason is Reason.AMBIGUOUS_BAND


def test_a_sentinel_2_product_is_one_scene(write: Callable[..., Path], tmp_path: Path) -> None:
    product = "S2A_MSIL2A_20220101T101411_N0301_R022_T32TQM_20220101T132611.SAFE"
    images = f"{product}/GRANULE/L2A_T32TQM_A034111_20220101T101405/IMG_DATA"
    for folder, band, value in (
        ("R10m", "B02_10m", 2),
        ("R20m", "B02_20m", 22),
        ("R20m", "B8A_20m", 8),
        ("R20m", "SCL_20m", 4),
    ):
        write(f"{images}/{folder}/{TILE}_{band}.jp2", value)  # GDAL goes by the content
    write(f"{product}/GRANULE/L2A_T32TQM_A034111_20220101T101405/QI_DATA/MSK_CLDPRB_20m.jp2", 1)
    (tmp_path / product / "MTD_MSIL2A.xml").write_text(
        "<x><SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME>"
        "<Cloud_Coverage_Assessment>12.5</Cloud_Coverage_Assessment></x>"
    )
    for layout in ("file", "folder"):
        scene = only_scene(tmp_path, layout=layout)
        assert scene.scene_id == product.removesuffix(".SAFE")
        assert (scene.acquired, scene.sensor) == ("2022-01-01T10:14:11Z", "Sentinel-2A_MSI")
        assert scene.cloud_cover_percent == 12.5
        assert values_of(scene, "blue", "nir08", "B02_20m", "SCL") == [2, 8, 22, 4]


def test_a_landsat_of_level_2_is_asked_by_every_name_of_its_bands(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    for value, band in ((4, "SR_B4"), (10, "ST_B10"), (21, "QA_PIXEL"), (33, "ST_TRAD")):
        write(f"ls/{LANDSAT}_{band}.TIF", value)
    (tmp_path / f"ls/{LANDSAT}_MTL.txt").write_text(
        f'LANDSAT_PRODUCT_ID = "{LANDSAT}"\nFILE_NAME_BAND_4 = "{LANDSAT}_SR_B4.TIF"\n'
        f'FILE_NAME_BAND_ST_B10 = "{LANDSAT}_ST_B10.TIF"\nSPACECRAFT_ID = "LANDSAT_9"\n'
        'SENSOR_ID = "OLI_TIRS"\n'
    )
    scene = only_scene(tmp_path / "ls")
    asked = ("red", "B4", "SR_B4", "lwir11", "B10", "ST_B10", "QA_PIXEL", "ST_TRAD")
    assert values_of(scene, *asked) == [4, 4, 4, 10, 10, 10, 21, 33]


def test_two_landsat_deliveries_in_one_folder_are_two_scenes(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    for value, day in ((1, "20220601"), (2, "20220617")):
        product = f"LC09_L1TP_191027_{day}_20220720_02_T1"
        write(f"ls/{product}_B4.TIF", value)
        (tmp_path / f"ls/{product}_MTL.txt").write_text(
            f'LANDSAT_PRODUCT_ID = "{product}"\nSPACECRAFT_ID = "LANDSAT_9"\n'
        )
    scenes = [open_scene(found) for found in find_scenes(str(tmp_path / "ls"))]
    assert [values_of(scene, "red") for scene in scenes] == [[1], [2]]


def test_a_pattern_finds_the_band_in_a_name(write: Callable[..., Path], tmp_path: Path) -> None:
    write("x/plot_red_2021.tif", 1)
    write("x/plot_nir_2021.tif", 2)
    scene = only_scene(tmp_path / "x", layout="folder", band_pattern="_([a-z]+)_")
    assert values_of(scene, "red", "nir") == [1, 2]


def test_given_names_are_found_in_names_before_they_are_counted_off(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    write("x/nir-2021.tif", 2)
    write("x/red-2021.tif", 1)
    write("x/redshift-2021.tif", 3)
    scene = only_scene(tmp_path / "x", layout="folder", band_names=("red", "nir"))
    assert values_of(scene, "red", "nir") == [1, 2]
    write("y/01.tif", 1)
    write("y/02.tif", 2)
    scene = only_scene(tmp_path / "y", layout="folder", band_names=("red", "nir"))
    assert values_of(scene, "red", "nir") == [1, 2]


def test_given_names_do_not_rename_another_band_of_a_sensor(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    """One missing file must not shift the names of the others."""
    for band in ("B03", "B04"):
        write(f"s2/{TILE}_{band}_10m.tif", int(band[1:]))
    for names in (("B02", "B03"), ("B05", "B06")):
        scene = only_scene(tmp_path / "s2", layout="folder", band_names=names)
        with pytest.raises(SceneRejected, match="no band"):
            scene.select(names)
    scene = only_scene(tmp_path / "s2", layout="folder", band_names=("green", "red"))
    assert values_of(scene, "green", "red") == [3, 4]


def test_bands_without_names_have_positions_and_no_sensors_names(
    write: Callable[..., Path],
) -> None:
    path = write("plain.tif", *range(1, 5), photometric="MINISBLACK")
    scene = open_scene(SceneSource("s", (BandFile(str(path)),)))
    assert scene.band_names == ("#1", "#2", "#3", "#4")
    assert values_of(scene, 3, "#2") == [3, 2]
    for name in ("B1", "B01", "B4", "1", "#5", 5):
        with pytest.raises(SceneRejected, match="by position from 1"):
            scene.select((name,))


def test_the_only_band_of_a_file_that_names_none_is_b1(write: Callable[..., Path]) -> None:
    """As GDAL calls it; where the file's name tells another band it is that one."""
    plain = SceneSource("s", (BandFile(str(write("plain.tif", 7))),))
    assert values_of(open_scene(plain), "B1") == [7]
    for name in (f"{TILE}_B02_10m.tif", f"{LANDSAT}_SR_B4.TIF"):
        named = SceneSource("s", (BandFile(str(write(name, 7))),))
        with pytest.raises(SceneRejected, match="no band 'B1'"):
            open_scene(named).select(("B1",))


def test_a_description_like_a_position_is_no_name(write: Callable[..., Path]) -> None:
    path = write("odd.tif", 1, 2, descriptions=("#2", "#1"))
    scene = open_scene(SceneSource("s", (BandFile(str(path)),)))
    assert values_of(scene, "#2", 1) == [2, 1]


def test_too_few_names_are_reported(write: Callable[..., Path]) -> None:
    path = write("three.tif", 1, 2, 3)
    source = SceneSource("s", (BandFile(str(path), ("red", "green")),))
    with pytest.raises(SceneRejected, match="3 bands, and 2 names") as caught:
        open_scene(source)
    assert caught.value.reason is Reason.BAD_METADATA


def test_the_sensor_decides_what_is_red_before_the_colours_of_a_picture(
    write: Callable[..., Path],
) -> None:
    """GDAL marks the first of three bands as red, whatever it is."""
    path = write(
        "stack.tif",
        *(2, 3, 4),
        photometric="RGB",
        descriptions=("B02", "B03", "B04"),
        tags={"PLATFORM": "Sentinel-2B"},
    )
    scene = open_scene(SceneSource("s", (BandFile(str(path)),)))
    assert values_of(scene, "red", "blue") == [4, 2]


def test_a_configuration_asks_by_position() -> None:
    image = ImageSpec.model_validate({"bands": [3, "nir08", 1]})
    assert image.bands == ("#3", "nir08", "#1")
    assert ImageSpec.model_validate_json(image.model_dump_json()) == image
    for wrong in ([0], [-1], [True], [1.5], [1, "#1"], [""]):
        with pytest.raises(ValueError, match="bands"):
            ImageSpec.model_validate({"bands": wrong})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"band_names": ["#1"]}, "means a position"),
        ({"band_pattern": "_(B..)_"}, "band_pattern is for layout: folder"),
        ({"band_pattern": "_B.._", "layout": "folder"}, "one group"),
    ],
)
def test_names_that_cannot_be_meant_are_refused(options: dict[str, Any], message: str) -> None:
    source = {"kind": "scenes", "uri": "scenes", **options}
    with pytest.raises(ValueError, match=message):
        IngestConfig.model_validate({"source": source, "image": {"bands": ["B1"]}})


def test_what_nothing_names_is_no_b1_beside_scenes_that_have_one(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    write("mixed/named.tif", 1, descriptions=("B1",))
    write("mixed/plain.tif", 2)
    options = ScenesSource(uri="scenes")
    sources = tuple(find_scenes(str(tmp_path / "mixed")))
    image = ImageSpec.model_validate({"bands": ["B1"]})
    opens = partial(open_view, options=options, image=image)
    named, plain = open_views(sources, opens, image)
    assert isinstance(named, View)
    assert isinstance(plain, SceneRejected)
    assert "the B1 of the other scenes" in plain.detail
    assert all(isinstance(view, View) for view in open_views(sources[1:], opens, image))


def test_numbers_on_the_command_line_are_positions() -> None:
    assert listed_bands("3, nir08,B1,") == ("#3", "nir08", "B1")
