"""Scale and offset that stand beside files: Landsat's MTL, Sentinel-2's MTD, STAC items."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.raster.reasons import Reason
from components.raster.scaling import Scaling
from components.raster.scene.calibration import Calibration, calibrated, sentinel_scalings
from components.raster.scene.folders import find_scenes
from components.raster.scene.probe import open_scene
from components.raster.scene.scene import SceneSource
from components.raster.scene.stac_scaling import asset_scalings

LEVEL_2 = """
GROUP = LANDSAT_METADATA_FILE
  GROUP = PRODUCT_CONTENTS
    LANDSAT_PRODUCT_ID = "LC08_L2SP_X"
    FILE_NAME_BAND_4 = "LC08_L2SP_X_SR_B4.TIF"
    FILE_NAME_BAND_ST_B10 = "LC08_L2SP_X_ST_B10.TIF"
    FILE_NAME_QUALITY_L1_PIXEL = "LC08_L2SP_X_QA_PIXEL.TIF"
  END_GROUP = PRODUCT_CONTENTS
  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
    REFLECTANCE_MULT_BAND_4 = 2.75e-05
    REFLECTANCE_ADD_BAND_4 = -0.2
  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
  GROUP = LEVEL2_SURFACE_TEMPERATURE_PARAMETERS
    TEMPERATURE_MULT_BAND_ST_B10 = 0.00341802
    TEMPERATURE_ADD_BAND_ST_B10 = 149.0
  END_GROUP = LEVEL2_SURFACE_TEMPERATURE_PARAMETERS
  GROUP = LEVEL1_RADIOMETRIC_RESCALING
    RADIANCE_MULT_BAND_4 = 9.8212E-03
    RADIANCE_ADD_BAND_4 = -49.10610
    REFLECTANCE_MULT_BAND_4 = 2.0000E-05
    REFLECTANCE_ADD_BAND_4 = -0.100000
  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING
END_GROUP = LANDSAT_METADATA_FILE
"""


def mtd(offset: int | None, level: str = "BOA") -> str:
    """The product metadata of a baseline with that offset, or of one before 04.00."""
    quantity = "BOA_" if level == "BOA" else ""
    offsets = "".join(
        f'<{level}_ADD_OFFSET band_id="{band}">{offset}</{level}_ADD_OFFSET>' for band in range(13)
    )
    return (
        '<?xml version="1.0"?><n1:Product xmlns:n1="urn:psd"><n1:General_Info>'
        f'<{quantity}QUANTIFICATION_VALUE unit="none">10000</{quantity}QUANTIFICATION_VALUE>'
        '<AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>'
        f"{offsets if offset is not None else ''}</n1:General_Info></n1:Product>"
    )


def one_band(write_raster: Any, *paths: Path) -> None:
    for path in paths:
        write_raster(np.ones((8, 8, 1), np.uint16), str(path))


def scalings_of(source: SceneSource) -> dict[str, Scaling]:
    return {Path(band.file.path).stem: band.scaling for band in open_scene(source).bands}


def test_landsat_level_2_is_reflectance_and_kelvin(write_raster: Any, tmp_path: Path) -> None:
    names = ("SR_B4", "ST_B10", "QA_PIXEL")
    one_band(write_raster, *(tmp_path / f"LC08_L2SP_X_{name}.TIF" for name in names))
    (tmp_path / "LC08_L2SP_X_MTL.txt").write_text(LEVEL_2)
    [source] = calibrated(find_scenes(str(tmp_path)))
    found = scalings_of(source)
    assert found["LC08_L2SP_X_SR_B4"] == (2.75e-5, -0.2)  # and not Level 1's, which stand there too
    assert found["LC08_L2SP_X_ST_B10"] == (0.00341802, 149)
    assert set(found.values()) <= {(2.75e-5, -0.2), (0.00341802, 149), (1, 0)}


def test_landsat_level_1_without_reflectance_is_radiance(
    shared_data: Callable[[str], Path],
) -> None:
    folder = shared_data("geotiff_multiband") / "rstoolbox_LT52240631988227CUB02"
    [source] = calibrated(find_scenes(str(folder)))
    scalings = [band.scaling for band in open_scene(source).bands]
    assert scalings[0] == (0.671, -2.19134)
    assert scalings[5] == (0.055, 1.18243)
    assert len(set(scalings)) == 7


@pytest.mark.parametrize("depth", ["GRANULE/L2A_T32/IMG_DATA/R10m", ""])
def test_sentinel_2_from_baseline_4_on_has_an_offset(
    write_raster: Any, tmp_path: Path, depth: str
) -> None:
    for name, offset in (("old", None), ("new", -1000)):
        product = tmp_path / f"{name}.SAFE"
        bands = (product / depth / f"T32_{name}_{band}_10m.tif" for band in ("B04", "AOT", "SCL"))
        one_band(write_raster, *bands)
        (product / "MTD_MSIL2A.xml").write_text(mtd(offset))
    found: dict[str, Scaling] = {}
    for source in calibrated(find_scenes(str(tmp_path))):
        found |= scalings_of(source)
    assert found == {
        "T32_old_B04_10m": (1e-4, 0),
        "T32_new_B04_10m": (1e-4, -0.1),
        **{f"T32_{name}_AOT_10m": (1e-3, 0) for name in ("old", "new")},
        **{f"T32_{name}_SCL_10m": (1, 0) for name in ("old", "new")},
    }


def test_sentinel_2_level_1_and_every_band_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "MTD_MSIL1C.xml"
    text = mtd(-1000, "RADIO").replace('band_id="8">-1000', 'band_id="8">-900')
    path.write_text(text)
    found = sentinel_scalings(path)
    assert found["B8A"] == (1e-4, -0.09)
    assert {found[f"B{number:02d}"] for number in range(1, 13)} == {(1e-4, -0.1)}


def test_metadata_that_cannot_be_used_cost_their_scene(write_raster: Any, tmp_path: Path) -> None:
    for name, text in (("cut", mtd(-1000)[:100]), ("zero", mtd(0).replace("10000", "0"))):
        one_band(write_raster, tmp_path / name / "T32_B04.tif")
        (tmp_path / name / "MTD_MSIL2A.xml").write_text(text)
    one_band(write_raster, tmp_path / "sound" / "T32_B04.tif")
    found = calibrated(find_scenes(str(tmp_path)))
    assert [source.scene_id for source in found] == ["sound/T32_B04"]
    assert {it.scene_id: it.reason for it in found.rejects} == {
        "cut/T32_B04": Reason.BAD_METADATA,
        "zero/T32_B04": Reason.BAD_METADATA,
    }


def test_two_deliveries_in_one_folder_keep_their_own(write_raster: Any, tmp_path: Path) -> None:
    for name, scale in (("LC08_L2SP_X", "2.75e-05"), ("LC09_L2SP_Y", "3e-05")):
        one_band(write_raster, tmp_path / f"{name}_SR_B4.TIF")
        text = LEVEL_2.replace("LC08_L2SP_X", name).replace("2.75e-05", scale)
        (tmp_path / f"{name}_MTL.txt").write_text(text)
    calibration = Calibration()
    for name, scale in (("LC08_L2SP_X", 2.75e-5), ("LC09_L2SP_Y", 3e-5)):
        assert calibration.of(str(tmp_path / f"{name}_SR_B4.TIF")) == ((scale, -0.2),)


BAND = {"eo:bands": [{"name": "B04", "common_name": "red"}]}
SCALED = {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}


@pytest.mark.parametrize(
    ("fields", "properties", "wanted"),
    [
        ({}, {}, ()),
        (SCALED, {}, ((1e-4, -0.1),)),
        ({"raster:bands": [{"scale": 2}, {"data_type": "uint8"}]}, {}, ((2, 0), (1, 0))),
        ({"raster:bands": [{"data_type": "uint16"}]}, {}, ()),
        ({"bands": [{"raster:scale": 0.5}, {"raster:offset": 3}]}, {}, ((0.5, 0), (1, 3))),
        ({"raster:scale": 0.1, "raster:offset": 2}, {}, ((0.1, 2),)),
        ({"raster:scale": 0.1, "bands": [{"raster:scale": 0.2}, {}]}, {}, ((0.2, 0), (0.1, 0))),
        # Sentinel-2: the baseline where nothing else is stated, and what a catalogue took off.
        (BAND, {"s2:processing_baseline": "03.01"}, ((1e-4, 0),)),
        (BAND, {"s2:processing_baseline": "04.00"}, ((1e-4, -0.1),)),
        (BAND, {"s2:processing_baseline": "05.11"}, ((1e-4, -0.1),)),
        ({}, {"s2:processing_baseline": "05.11"}, ()),
        ({"eo:bands": [{"name": "B04"}] * 3}, {"s2:processing_baseline": "05.11"}, ()),
        (BAND | SCALED, {"s2:processing_baseline": "02.00"}, ((1e-4, -0.1),)),
        (BAND | SCALED, {"earthsearch:boa_offset_applied": True}, ((1e-4, 0),)),
        (BAND | SCALED, {"earthsearch:boa_offset_applied": False}, ((1e-4, -0.1),)),
        (
            BAND,
            {"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": True},
            ((1e-4, 0),),
        ),
    ],
)
def test_what_an_item_states(
    fields: Mapping[str, Any], properties: Mapping[str, Any], wanted: tuple[tuple[float, float]]
) -> None:
    assert asset_scalings("scl", fields, properties) == wanted


def test_assets_that_are_called_as_bands_are_reflectance() -> None:
    baseline = {"s2:processing_baseline": "04.00"}
    assert asset_scalings("B8A", {}, baseline) == ((1e-4, -0.1),)
    assert asset_scalings("SCL", {}, baseline) == ()


@pytest.mark.parametrize("scale", [0, "much", [1], float("nan")])
def test_an_item_s_scale_that_cannot_be_applied_is_reported(scale: Any) -> None:
    with pytest.raises(ValueError, match="cannot be applied"):
        asset_scalings("B04", {"raster:bands": [{"scale": scale}]}, {})
