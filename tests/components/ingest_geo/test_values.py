"""Values of rasters and of their labels that mean nothing, through the real ingest."""

import math

import numpy as np
import pytest

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
