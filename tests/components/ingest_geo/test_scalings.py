"""Scale and offset through the real ingest: kept, applied, or refused where rasters differ."""

import json

import numpy as np
import pytest
import rasterio
from pydantic import ValidationError
from rasterio.transform import from_origin

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.sources import list_source, survey
from components.raster.errors import DataError
from components.raster.payload import decode_payload, read_header
from tests.components.ingest_geo.conftest import by_key, floats

BOTH = ("land/before.tif", "land/after.tif")


@pytest.fixture
def one_ground(write_raster, tmp_path):
    """Two rasters of one ground: the later one's numbers are shifted, and its offset says so."""
    reflectance = np.random.default_rng(0).uniform(0.05, 0.3, (32, 32, 1))
    for place, (name, shift) in enumerate(zip(BOTH, (0, 1000), strict=True)):
        numbers = np.round(reflectance * 10_000 + shift).astype(np.uint16)
        path = tmp_path / "source" / name
        corner = from_origin(500_000 + 20_000 * place, 5_000_000, 10, 10)
        write_raster(numbers, str(path), transform=corner)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (1e-4,), (-1e-4 * shift,)
    return tmp_path / "source"


def config_of(kind, folder, *, image=None, **source):
    tiled = {"tiling": {"size_px": 32}} if kind == "scenes" else {}
    return {
        "source": {"kind": kind, "uri": str(folder), **tiled, **source},
        "image": {"bands": ["B1"], **(image or {})},
        "split_by": {"by": "tile", "insist": True},
    }


def listed(tree):
    return list_source(IngestConfig.model_validate(tree))


def payload_of(features):
    return decode_payload(features["image/encoded"].bytes_list.value[0])


@pytest.mark.parametrize("kind", ["chips", "scenes"])
def test_rasters_that_differ_are_refused_by_name_until_it_is_said_what_to_do(kind, one_ground):
    tree = config_of(kind, one_ground)
    for ask in (listed, lambda it: survey(IngestConfig.model_validate(it))):
        with pytest.raises(DataError) as caught:
            ask(tree)
        message = str(caught.value)
        assert "1 of 2 rasters differ from the others in scale or offset" in message
        for name, scaling in (("before", "* 0.0001 "), ("after", "* 0.0001 - 0.1")):
            assert f"number {scaling.strip()} in 'land/{name}" in message
        assert "Set image.values: scaled" in message
    for reported in ({"image": {"values": "stored"}}, {"scale": 1e-4, "offset": 0}):
        assert listed(config_of(kind, one_ground, **reported)).images == 2


@pytest.mark.parametrize("kind", ["chips", "scenes"])
def test_scaled_rasters_of_one_ground_have_one_mean(run, kind, one_ground):
    found = by_key(run(config_of(kind, one_ground, image={"values": "scaled"})))
    assert len(found) == 2
    for key, (_, features) in found.items():
        with rasterio.open(one_ground / f"{key.partition('@')[0].removesuffix('.tif')}.tif") as it:
            wanted = it.read(1) * it.scales[0] + it.offsets[0]
        payload = payload_of(features)
        assert (payload.values, payload.pixels.dtype) == ("scaled", np.float32)
        np.testing.assert_allclose(payload.pixels[..., 0], wanted, rtol=1e-6, atol=1e-7)
        assert floats(features, "image/mean_B1") == pytest.approx([wanted.mean()], rel=1e-5)
        assert floats(features, "image/stddev_B1") == pytest.approx([wanted.std()], rel=1e-4)


@pytest.mark.parametrize("kind", ["chips", "scenes"])
def test_stored_numbers_are_kept_however_rasters_differ(run, kind, one_ground):
    found = by_key(run(config_of(kind, one_ground, image={"values": "stored"})))
    means = sorted(floats(features, "image/mean_B1")[0] for _, features in found.values())
    assert means[1] - means[0] == pytest.approx(1000, abs=1)
    assert {payload_of(features).values for _, features in found.values()} == {"stored"}


@pytest.mark.parametrize("kind", ["chips", "scenes"])
def test_rasters_that_agree_keep_their_numbers_and_what_they_mean_is_said(run, kind, one_ground):
    (one_ground / BOTH[0]).unlink()
    outcome = run(config_of(kind, one_ground))
    ((_, features),) = by_key(outcome).values()
    payload = features["image/encoded"].bytes_list.value[0]
    assert read_header(payload).scalings == ("0.0001 -0.1",)
    assert payload_of(features).pixels.dtype == np.uint16
    assert payload_of(features).values == "stored"
    reported = json.loads((outcome.examples_dir / "scalings.json").read_text())
    assert reported == {"B1": [0.0001, -0.1]}
    meant = {"B1": "numbers as stored; the value is number * 0.0001 - 0.1"}
    assert outcome.summary.units == outcome.report().facts["units"] == meant


@pytest.mark.parametrize(
    ("values", "units"),
    [("stored", "numbers as stored"), ("scaled", "values: number * scale + offset")],
)
def test_what_was_told_to_do_is_said_too(run, one_ground, values, units):
    outcome = run(config_of("chips", one_ground, image={"values": values}))
    assert outcome.summary.units == {"B1": units}
    assert not (outcome.examples_dir / "scalings.json").exists()


def test_integers_without_a_scale_are_rejects_where_values_are_wanted(
    run, one_ground, write_raster
):
    path = one_ground / "land" / "unsaid.tif"
    write_raster(np.ones((32, 32, 1), np.uint16), str(path), transform=from_origin(0, 0, 10, 10))
    tree = config_of("scenes", one_ground, image={"values": "scaled"})
    outcome = run({**tree, "max_reject_fraction": 1})
    assert {key: str(it.reason) for key, it in outcome.rejects().items()} == {
        "land/unsaid": "no_scale"
    }
    assert outcome.summary.total_images == 2


def test_a_new_offset_is_another_fingerprint(one_ground):
    source = IngestConfig.model_validate(config_of("scenes", one_ground)).source
    before = fingerprint_dataset(source)
    with rasterio.open(one_ground / "land" / "after.tif", "r+") as dataset:
        dataset.offsets = (-0.2,)
    assert fingerprint_dataset(source) != before


def test_settings_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ValidationError, match="a scale of 0"):
        IngestConfig.model_validate(config_of("chips", tmp_path, scale=0))
    with pytest.raises(ValidationError, match="values is for rasters"):
        IngestConfig.model_validate(
            {"source": {"kind": "folders", "uri": "x"}, "image": {"values": "scaled"}}
        )


def stac_of(folder, properties):
    """A file of items, one for each raster of `one_ground` without its tags; their properties."""
    features = []
    for number, (name, stated) in enumerate(zip(BOTH, properties, strict=True)):
        with rasterio.open(folder / name, "r+") as dataset:
            dataset.scales, dataset.offsets = (1,), (0,)
        asset = {"href": str(folder / name), "type": "image/tiff", "roles": ["data"]}
        bands = [{"name": "B04", "common_name": "red"}]
        features.append(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": f"item-{number}",
                "geometry": None,
                "links": [],
                "assets": {"B04": asset | {"eo:bands": bands}},
                "properties": {"datetime": "2022-06-01T10:00:00Z", **stated},
            }
        )
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return {
        "source": {"kind": "stac", "query": {"source": str(path)}, "tiling": {"size_px": 32}},
        "split_by": {"by": "tile", "insist": True},
    }


def test_items_of_two_baselines_are_refused_or_have_one_mean(run, one_ground):
    baselines = [{"s2:processing_baseline": it} for it in ("03.01", "04.00")]
    tree = stac_of(one_ground, baselines)
    with pytest.raises(DataError, match=r"Band red is number \* 0.0001 in 'item-0' and number"):
        listed(tree | {"image": {"bands": ["red"]}})
    found = by_key(run(tree | {"image": {"bands": ["red"], "values": "scaled"}}))
    means = [floats(features, "image/mean_red")[0] for _, features in found.values()]
    with rasterio.open(one_ground / BOTH[0]) as dataset:
        assert means == pytest.approx([dataset.read(1).mean() * 1e-4] * 2, rel=1e-5)


def test_an_offset_that_a_catalogue_took_off_is_not_applied_again(one_ground):
    applied = [{"s2:processing_baseline": "03.01"}, {"s2:processing_baseline": "05.11"}]
    applied[1]["earthsearch:boa_offset_applied"] = True
    assert listed(stac_of(one_ground, applied) | {"image": {"bands": ["red"]}}).images == 2


def test_chips_take_scale_and_offset_from_the_metadata_beside_them(run, write_raster, tmp_path):
    numbers = np.random.default_rng(0).integers(5_000, 30_000, (32, 32, 1)).astype(np.uint16)
    for place, name in enumerate(("land", "water")):
        corner = from_origin(500_000 + 20_000 * place, 5_000_000, 30, 30)
        path = tmp_path / "source" / name / "LC09_L2SP_191027_20220601_20220603_02_T1_SR_B4.tif"
        write_raster(numbers, str(path), transform=corner)
        mtl = path.with_name("LC09_L2SP_191027_20220601_20220603_02_T1_MTL.txt")
        mtl.write_text(
            "GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS\n"
            "  REFLECTANCE_MULT_BAND_4 = 2.75e-05\n"
            "  REFLECTANCE_ADD_BAND_4 = -0.2\n"
            "END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS\nEND\n"
        )
    tree = config_of("chips", tmp_path / "source", image={"bands": ["B4"], "values": "scaled"})
    config = IngestConfig.model_validate(tree)
    before = fingerprint_dataset(config.source)
    found = by_key(run(tree))
    assert len(found) == 2
    for _, features in found.values():
        values = payload_of(features).pixels
        np.testing.assert_allclose(values, numbers * 2.75e-05 - 0.2, rtol=0, atol=1e-6)
    mtl.write_text(mtl.read_text().replace("-0.2", "-0.1"))
    assert fingerprint_dataset(config.source) != before
