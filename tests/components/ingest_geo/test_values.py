"""Values of rasters and of their labels that mean nothing, through the real ingest."""

import math

import numpy as np
import pytest
from pydantic import ValidationError
from rasterio.transform import from_origin

from components.raster.errors import DataError
from components.raster.payload import decode_payload
from tests.components.ingest_geo.conftest import by_key, floats, mask_of


def tree(uri, size_px=16, **source):
    source = {"kind": "scenes", "uri": str(uri), "tiling": {"size_px": size_px}} | source
    return {
        "source": source,
        "image": {"bands": ["B1"]},
        "split_by": {"by": "tile", "insist": True},
        "max_reject_fraction": 1.0,
    }


def payload(features):
    return decode_payload(features["image/encoded"].bytes_list.value[0])


@pytest.mark.parametrize("nodata", [None, -math.inf])
def test_infinite_pixels_are_not_valid_anywhere(run, write_raster, tmp_path, nodata):
    pixels = np.linspace(-25, 3, 16 * 48, dtype="float32").reshape(16, 48, 1)
    pixels[2:4, 5], pixels[9, 9] = -np.inf, np.inf
    pixels[:, 16:32] = -np.inf  # a collar
    pixels[:10, 32:] = -np.inf
    path = write_raster(pixels, str(tmp_path / "scenes" / "sar.tif"))
    outcome = run(tree(path, nodata=nodata, tiling={"size_px": 16, "min_valid_fraction": 0.5}))
    assert outcome.summary.ignored == {"(no_data)": 1}
    found = {key: it.reason.value for key, it in outcome.rejects().items()}
    assert found == {"sar@0,32,16x16": "too_little_valid"}
    [(_, features)] = by_key(outcome).values()
    own = pixels[:, :16, 0]
    finite = np.isfinite(own)
    np.testing.assert_array_equal(payload(features).valid, finite)
    assert floats(features, "image/valid_fraction") == [pytest.approx(finite.mean())]
    assert floats(features, "image/mean_B1") == [pytest.approx(own[finite].mean(dtype="float64"))]
    assert floats(features, "image/stddev_B1") == [pytest.approx(own[finite].std(dtype="float64"))]


def test_values_of_a_class_raster_that_are_no_codes_are_no_truth(run, write_raster, tmp_path):
    scene = write_raster(np.ones((16, 16, 1), "uint8"), str(tmp_path / "scenes" / "one.tif"))
    codes = np.ones((16, 16, 1), "float32")
    codes[0, :5, 0] = np.inf, -np.inf, np.nan, 2, 1.5
    labels = {
        "kind": "class_raster",
        "path": str(write_raster(codes, str(tmp_path / "labels" / "classes.tif"))),
        "legend": {"values": {1: "field", 2: "wood"}},
        "undeclared": "ignore",
    }
    [(_, features)] = by_key(run(tree(scene, labels=labels, target={"to": "mask"}))).values()
    expected = np.zeros((16, 16))
    expected[0, :5] = 255, 255, 255, 1, 255
    np.testing.assert_array_equal(mask_of(features), expected)


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint64"])
@pytest.mark.parametrize("warp", [None, {"gsd_m": 20, "resampling": "nearest"}])
def test_64_bits_have_one_way_in_that_every_message_names(run, write_raster, tmp_path, dtype, warp):
    """The least and the largest number are not data; 1e300 is more than the model can count."""
    pixels = np.arange(16 * 16).reshape(16, 16, 1).astype(dtype)
    pixels[0, 0] = np.finfo(dtype).min if dtype == "float64" else 2**40
    nodata = pixels[0, 0, 0]
    if dtype == "float64":
        pixels[2, 2] = 1e300
    path = write_raster(pixels, str(tmp_path / "scenes" / "wide.tif"), nodata=nodata)
    for message in (None, "uint8"):
        with pytest.raises(DataError, match=r"float32"):
            run(tree(path, dtype=message))
    with pytest.raises(ValidationError, match=r"dtype[\s\S]*float32"):
        run(tree(path, dtype=dtype))
    options = {} if warp is None else {"warp": warp, "size_px": 8}
    [(_, features)] = by_key(run(tree(path, dtype="float32", **options))).values()
    found = payload(features)
    assert found.pixels.dtype == np.float32
    assert floats(features, "image/mean_B1")[0] < 256
    if warp is None:
        lost = (pixels == nodata) | (pixels > 1e100)
        np.testing.assert_array_equal(found.valid, ~lost[..., 0])
        np.testing.assert_array_equal(found.pixels[found.valid], pixels[~lost].reshape(-1, 1))


def test_bands_of_mixed_widths_are_reported_with_a_dtype_that_works(run, write_raster, tmp_path):
    for name, dtype in (("B1", "int32"), ("B2", "float32")):
        path = tmp_path / "scenes" / "one" / f"{name}.tif"
        write_raster(np.full((16, 16, 1), 3, dtype), str(path))
    both = tree(tmp_path / "scenes", layout="folder") | {"image": {"bands": ["B1", "B2"]}}
    with pytest.raises(DataError, match="holds them all: float32"):
        run(both)
    both["source"]["dtype"] = "float32"
    [(_, features)] = by_key(run(both)).values()
    assert (payload(features).pixels == 3).all()


@pytest.mark.parametrize(
    ("kind", "dtype"), [("class_raster", "int64"), ("other_grid", "float32"), ("masks", "uint8")]
)
def test_a_declared_class_wins_over_the_labels_own_nodata(run, write_raster, tmp_path, kind, dtype):
    """GDAL's tools write nodata 0 where background is a class; 9, nodata too, is none here."""
    scene = write_raster(np.ones((16, 16, 1), "uint8"), str(tmp_path / "scenes" / "one.tif"))
    codes = np.zeros((16, 16, 1), dtype)
    codes[:, 8:] = 1
    place = {}
    if kind == "other_grid":
        codes, place = codes[::2, ::2], {"transform": from_origin(500_000, 5_300_000, 20, 20)}
    path = write_raster(codes, str(tmp_path / "labels" / "one.tif"), nodata=0, **place)
    labels = {"kind": "class_raster", "path": str(path)}
    if kind == "masks":
        labels = {"kind": "masks", "folder": str(path.parent)}
    labels["legend"] = {"values": {0: "background", 1: "field"}}
    [(_, features)] = by_key(run(tree(scene, labels=labels, target={"to": "mask"}))).values()
    expected = np.zeros((16, 16))
    expected[:, 8:] = 1
    np.testing.assert_array_equal(mask_of(features), expected)
    labels["legend"] = {"values": {1: "field"}}
    [(_, features)] = by_key(run(tree(scene, labels=labels, target={"to": "mask"}))).values()
    np.testing.assert_array_equal(mask_of(features), np.where(expected == 1, 0, 255))


def test_nodata_of_one_mask_is_a_value_of_another(run, write_raster, tmp_path):
    for name, value, nodata in (("a", 7, None), ("b", 1, 7)):
        pixels = np.ones((16, 16, 1), "uint8")
        write_raster(pixels, str(tmp_path / "scenes" / f"{name}.tif"))
        pixels[0, 0] = value
        write_raster(pixels, str(tmp_path / "masks" / f"{name}.tif"), nodata=nodata)
    labels = {"kind": "masks", "folder": str(tmp_path / "masks")}
    labels["legend"] = {"values": {1: "field"}}
    with pytest.raises(DataError, match=r"no class declares: 7 \(1 pixels\)"):
        run(tree(tmp_path / "scenes", labels=labels, target={"to": "mask"}))
