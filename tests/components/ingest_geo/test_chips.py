"""Chips through the real ingest: lossless, in their place, and split by it."""

import json

import numpy as np
import pytest
import rasterio
from pydantic import ValidationError
from rasterio.transform import from_origin
from rasterio.warp import transform

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.sources import list_source
from components.raster.errors import ConfigError, DataError
from components.raster.payload import decode_payload
from components.raster.reasons import Reason
from components.raster.spatial.distance import LeakError
from tests.components.ingest_geo.conftest import by_key, floats, strings

EUROSAT_BANDS = [*(f"B{number:02d}" for number in range(1, 13)), "B8A"]
SEEN = ["B08", "B04"]
BY_BLOCK = {"by": "block", "block_m": 50_000, "buffer_m": None}


def eurosat(folder, **options):
    source = {"kind": "chips", "uri": str(folder), "band_names": EUROSAT_BANDS}
    return {"source": source, "image": {"bands": SEEN}, "split_by": BY_BLOCK, **options}


@pytest.fixture
def chips(write_raster, tmp_path):
    """Writes chips of two bands side by side: `chips(n, gap_px)`; gives their folder."""

    def write(count, gap_px=0, **options):
        root = tmp_path / "chips"
        for number in range(count):
            pixels = np.random.default_rng(number).integers(1, 999, (16, 16, 2)).astype(np.uint16)
            place = from_origin(500_000 + number * (16 + gap_px) * 10, 5_300_000, 10, 10)
            target = root / ("land", "water")[number % 2] / f"{number:02d}.tif"
            write_raster(
                pixels, str(target), descriptions=("red", "nir"), transform=place, **options
            )
        return root

    return write


def of_chips(folder, **options):
    source = {"kind": "chips", "uri": str(folder), **options.pop("source", {})}
    return {"source": source, "image": {"bands": ["nir", "red"]}, **options}


def test_eurosat_keeps_every_sample_and_its_place(run, shared_data):
    folder = shared_data("eurosat_ms_tif")
    outcome = run(eurosat(folder))
    assert outcome.summary.total_images == 120
    assert outcome.summary.total_rejects == 0
    for key, (_, features) in by_key(outcome).items():
        with rasterio.open(folder / key) as dataset:
            wanted = dataset.read([8, 4]).transpose(1, 2, 0)
            affine, crs, bounds = dataset.transform, dataset.crs, dataset.bounds
        payload = decode_payload(features["image/encoded"].bytes_list.value[0])
        np.testing.assert_array_equal(payload.pixels, wanted)
        assert payload.valid.all()
        assert payload.bands == tuple(SEEN)
        assert strings(features, "image/bands") == SEEN
        assert strings(features, "image/format") == ["tile"]
        assert strings(features, "label/text") == [key.split("/")[0]]
        numbers = [float(text) for text in strings(features, "image/transform")[0].split()]
        assert numbers == list(affine[:6])
        assert rasterio.crs.CRS.from_string(strings(features, "image/crs")[0]) == crs
        assert floats(features, "image/bounds") == pytest.approx(list(bounds), abs=0.5)
        x, y = (bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2
        (lon,), (lat,) = transform(crs, "OGC:CRS84", [x], [y])
        assert floats(features, "image/longitude") == pytest.approx([lon], abs=1e-5)
        assert floats(features, "image/latitude") == pytest.approx([lat], abs=1e-5)
        assert floats(features, "image/gsd_m") == pytest.approx([affine.a], rel=1e-2)
        for place, band in enumerate(SEEN):
            mean, deviation = wanted[..., place].mean(), wanted[..., place].std()
            assert floats(features, f"image/mean_{band}") == pytest.approx([mean], rel=1e-6)
            assert floats(features, f"image/stddev_{band}") == pytest.approx([deviation], rel=1e-5)


def test_a_new_chip_moves_no_other(run, shared_data, tmp_path):
    folder = shared_data("eurosat_ms_tif")
    for path in sorted(folder.rglob("*.tif"))[::3]:
        target = tmp_path / "some" / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    some, every = by_key(run(eurosat(tmp_path / "some"))), by_key(run(eurosat(folder), "all"))
    assert len(some) == 40
    assert {key: split for key, (split, _) in some.items()}.items() <= {
        key: split for key, (split, _) in every.items()
    }.items()


def test_statistics_are_of_valid_pixels_only(run, write_raster, tmp_path):
    pixels = np.full((8, 8, 1), 100, np.int16)
    pixels[:4] = 300
    pixels[0] = -9999
    root = tmp_path / "chips"
    write_raster(pixels, str(root / "a" / "1.tif"), nodata=-9999)
    write_raster(np.full((8, 8, 1), -9999, np.int16), str(root / "a" / "2.tif"), nodata=-9999)
    outcome = run(of_chips(root, image={"bands": ["B1"]}, split_by={"by": "tile", "insist": True}))
    ((_, features),) = by_key(outcome).values()
    valid = pixels[pixels != -9999]
    assert floats(features, "image/mean_B1") == pytest.approx([valid.mean()])
    assert floats(features, "image/stddev_B1") == pytest.approx([valid.std()])
    assert floats(features, "image/valid_fraction") == pytest.approx([56 / 64])
    payload = decode_payload(features["image/encoded"].bytes_list.value[0])
    np.testing.assert_array_equal(payload.valid, pixels[..., 0] != -9999)
    assert outcome.rejects()["a/2.tif"].reason is Reason.TOO_LITTLE_VALID


def test_each_bad_chip_is_a_reject_with_its_reason(run, chips, write_raster, tmp_path):
    root = chips(12, gap_px=4)
    one = np.ones((16, 16, 1), np.uint16)
    write_raster(one, str(root / "land" / "one_band.tif"), descriptions=("red",))
    write_raster(np.ones((16, 16, 2), np.uint16), str(root / "land" / "no_map.tif"), crs=None)
    write_raster(
        np.ones((16, 16, 2)), str(root / "land" / "double.tif"), descriptions=("red", "nir")
    )
    whole = (root / "land" / "00.tif").read_bytes()
    (root / "land" / "half.tif").write_bytes(whole[: len(whole) // 2])
    (root / "water" / "text.tif").write_text("this is not a raster")
    outcome = run(of_chips(root, max_reject_fraction=1))
    assert outcome.summary.total_images == 12
    assert {key: str(reject.reason) for key, reject in outcome.rejects().items()} == {
        "land/one_band.tif": "unknown_band",
        "land/no_map.tif": "no_crs",
        "land/double.tif": "unsupported_dtype",
        "land/half.tif": "unreadable",
        "water/text.tif": "unreadable",
    }


def test_a_random_split_of_touching_chips_is_refused_before_a_pixel_is_read(chips):
    root = chips(6, gap_px=0)
    config = IngestConfig.model_validate(of_chips(root))
    with pytest.raises(LeakError, match=r"split_by: \{by: block.*insist: true"):
        list_source(config)
    insisting = of_chips(root, split_by={"by": "tile", "insist": True})
    assert len(list_source(IngestConfig.model_validate(insisting)).records) == 6


def test_chips_apart_may_be_drawn_one_by_one(chips):
    assert len(list_source(IngestConfig.model_validate(of_chips(chips(6, 1)))).records) == 6


def test_groups_go_together_and_touch_within_themselves(run, chips):
    tree = of_chips(chips(40), source={"group_pattern": r"/(\d)\d\.tif"})
    found = by_key(run(tree))
    splits = {}
    for key, (split, features) in found.items():
        group = key.split("/")[1][0]
        assert strings(features, "image/scene") == [group]
        splits.setdefault(group, set()).add(split)
    assert len(splits) == 4
    assert all(len(of_group) == 1 for of_group in splits.values())


def test_the_report_has_the_box_around_the_centres_of_all_tiles(run, chips):
    outcome = run(of_chips(chips(6, gap_px=4)))
    west, south, east, north = outcome.report().facts["extent"]["bbox"]
    examples = [features for _, features in by_key(outcome).values()]
    longitudes = [floats(it, "image/longitude")[0] for it in examples]
    latitudes = [floats(it, "image/latitude")[0] for it in examples]
    assert (west, east) == pytest.approx((min(longitudes), max(longitudes)))
    assert (south, north) == pytest.approx((min(latitudes), max(latitudes)))
    assert west < east


def test_the_report_has_the_distance_between_train_and_test(run, chips, tmp_path):
    """Chips of 16 pixels of 10 m, 4 pixels apart; the third lies between train and test."""
    splits = ["train", "train", "val", "test", "test"]
    paths = sorted(chips(5, gap_px=4).rglob("*.tif"), key=lambda path: path.name)
    rows = [
        {"uri": str(path), "label": path.parent.name, "split": split}
        for path, split in zip(paths, splits, strict=True)
    ]
    manifest = tmp_path / "chips.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = run(of_chips(manifest, source={"columns": {"split": "split"}}))
    # On its central meridian, the scale of UTM is 0.9996.
    wanted = (2 * (16 + 4) - 16) * 10 / 0.9996
    assert outcome.report().facts["train_to_test_m"] == pytest.approx(wanted, rel=1e-3)
    assert outcome.summary.train_to_test_m == outcome.report().facts["train_to_test_m"]


def test_a_given_split_comes_before_the_rule(chips, tmp_path):
    root = chips(8, gap_px=4)
    rows = [
        {"uri": str(path), "label": path.parent.name, "split": "val" if number < 3 else ""}
        for number, path in enumerate(sorted(root.rglob("*.tif")))
    ]
    manifest = tmp_path / "chips.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    date = {"by": "date", "eval_from": "2021-01-01", "test_from": "2022-01-01"}
    tree = of_chips(manifest, source={"columns": {"split": "split"}}, split_by=date)
    with pytest.raises(ConfigError, match="no_date"):
        list_source(IngestConfig.model_validate(tree))
    blocks = {"by": "block", "block_m": 2_000_000}
    records = list_source(IngestConfig.model_validate({**tree, "split_by": blocks})).records
    assert [record.split for record in records[:3]] == ["eval"] * 3
    assert len({record.split for record in records[3:]}) == 1


def test_what_lies_at_a_border_is_left_out_and_counted(run, chips):
    tree = of_chips(chips(30), split_by={"by": "block", "block_m": 500, "buffer_m": 0})
    outcome = run(tree, "run")
    left_out = outcome.summary.ignored["(at_border)"]
    assert left_out > 0
    assert outcome.summary.total_images == 30 - left_out
    assert outcome.summary.total_rejects == 0


def test_bands_are_asked_for_once_and_for_rasters_only(tmp_path):
    with pytest.raises(ValidationError, match="must name the bands"):
        IngestConfig.model_validate({"source": {"kind": "chips", "uri": "x"}})
    with pytest.raises(ValidationError, match="are photographs"):
        IngestConfig.model_validate(
            {"source": {"kind": "folders", "uri": "x"}, "image": {"bands": ["red"]}}
        )


def test_no_usable_chip_says_why(chips):
    tree = of_chips(chips(3), image={"bands": ["swir"]})
    with pytest.raises(DataError, match="3 rejects.*no band 'swir'; it has red"):
        list_source(IngestConfig.model_validate(tree))


def test_any_number_of_workers_writes_the_same_bytes(run, shared_data):
    folder = shared_data("eurosat_ms_tif")
    once, again = run(eurosat(folder)), run(eurosat(folder), "more", "--ingest_processes=2")
    for split in ("train", "eval", "test"):
        assert once.shards(split) == again.shards(split)


def test_the_fingerprint_follows_pixels_and_drawn_areas(chips, tmp_path):
    config = IngestConfig.model_validate(of_chips(root := chips(4)))
    before = fingerprint_dataset(config.source)
    assert fingerprint_dataset(config.source) == before
    path = root / "land" / "00.tif"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00\x01")
    assert fingerprint_dataset(config.source) != before


def test_every_refusal_of_rasters_has_a_reason():
    for refusal in (*Reason, *Reason, *Reason):
        assert Reason(refusal.value)


def test_the_past_trains_and_what_came_later_tests(run, chips):
    root = chips(12)
    for number, path in enumerate(sorted(root.rglob("*.tif"))):
        path.rename(path.with_name(f"{path.stem}_20{18 + number // 3}0709.tif"))
    rule = {"by": "date", "eval_from": "2020-01-01", "test_from": "2021-01-01"}
    tree = of_chips(root, source={"date_pattern": r"_(\d{8})\."}, split_by=rule)
    wanted = {"2018": "train", "2019": "train", "2020": "eval", "2021": "test"}
    found = by_key(run(tree))
    assert len(found) == 12
    for key, (split, features) in found.items():
        (day,) = strings(features, "image/date")
        assert day == f"{key[-12:-8]}-07-09"
        assert split == wanted[day[:4]]
