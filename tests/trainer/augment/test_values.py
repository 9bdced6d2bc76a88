"""Light, noise, cover and mixing: against numpy, and against their documentation."""

import numpy as np
import pytest

from tests.trainer.augment.batches import distinct, tiles, view
from trainer.augment.batch import Batch

ALWAYS = {"probability": 1}


def ratios(parts, images):
    """By how much each value of each image changed: (N, H, W, C), of what is known."""
    seen = view(parts, {"images": images})["images"]
    assert np.array_equal(np.isnan(seen), np.isnan(images))
    return seen / images


def test_brightness_is_one_factor_for_a_band_group():
    groups = [["B0", "B2"]]
    found = ratios({"brightness": {**ALWAYS, "most": 0.3}, "band_groups": groups}, tiles())
    factors = np.nanmean(found, axis=(1, 2))
    np.testing.assert_allclose(np.nanstd(found, axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(factors[:, 0], factors[:, 2], rtol=1e-5)
    np.testing.assert_allclose(factors[:, 1], factors[:, 3], rtol=1e-5)  # of no group: one more
    assert (abs(factors[:, 0] - factors[:, 1]) > 1e-3).mean() > 0.9
    assert 0.7 <= factors.min() < 0.8 < 1.2 < factors.max() <= 1.3


def test_without_groups_all_bands_brighten_together_and_colour_tells_them_apart():
    together = np.nanmean(ratios({"brightness": ALWAYS}, tiles()), axis=(1, 2))
    np.testing.assert_allclose(np.ptp(together, axis=1), 0, atol=1e-5)
    apart = np.nanmean(ratios({"colour": ALWAYS}, tiles()), axis=(1, 2))
    assert (np.ptp(apart, axis=1) > 1e-3).all()
    assert (abs(apart - 1) <= 0.1 + 1e-5).all()


def test_contrast_stretches_about_the_mean_of_what_is_known():
    images = tiles()
    seen = view({"contrast": {**ALWAYS, "most": 0.5}}, {"images": images})["images"]
    mean = np.nanmean(images, axis=(1, 2))
    np.testing.assert_allclose(np.nanmean(seen, axis=(1, 2)), mean, rtol=1e-4)
    factors = np.nanstd(seen, axis=(1, 2)) / np.nanstd(images, axis=(1, 2))
    np.testing.assert_allclose(np.ptp(factors, axis=1), 0, atol=1e-4)
    assert 0.5 <= factors.min() < 0.8 < 1.2 < factors.max() <= 1.5


def test_bytes_are_rounded_and_stop_at_their_ends():
    images = np.full((50, 4, 4, 3), 240, np.uint8)
    seen = view({"brightness": {**ALWAYS, "most": 0.5}}, {"images": images})["images"]
    assert seen.max() == 255
    assert 120 <= seen.min() < 200
    some = view({"brightness": {"probability": 0.2}}, {"images": distinct(count=50)})["images"]
    untouched = [np.array_equal(image, distinct(1)[0]) for image in some]
    assert 0.6 < np.mean(untouched) < 1


def test_noise_is_in_shares_of_a_bands_own_deviation():
    images = np.random.default_rng(0).normal(0, (1, 100), (64, 32, 32, 2)).astype(np.float32)
    added = view({"noise": {**ALWAYS, "most": 0.4}}, {"images": images})["images"] - images
    shares = added.std(axis=(1, 2)) / images.std(axis=(1, 2))
    np.testing.assert_allclose(shares[:, 0], shares[:, 1], rtol=0.15)
    assert shares.max() <= 0.45
    assert shares.max() - shares.min() > 0.2
    assert abs(added.mean(axis=(1, 2)) / images.std(axis=(1, 2))).max() < 0.1


def test_cutout_hides_a_rectangle_from_image_and_mask():
    images, masks = np.full((60, 20, 20, 3), 50, np.uint8), np.ones((60, 20, 20), np.uint8)
    batch: Batch = {"images": images, "masks": masks}
    seen = view({"cutout": {**ALWAYS, "most": 0.5}}, batch)
    hidden = (seen["images"] == 0).all(axis=-1)
    assert np.array_equal(hidden, seen["masks"] == 9)
    for one in hidden:
        rows, cols = one.any(axis=1), one.any(axis=0)
        assert np.array_equal(one, rows[:, None] & cols[None])
        assert rows.sum() <= 10
        assert cols.sum() <= 10
    assert hidden[:, 0].any()
    assert hidden[:, -1].any()
    assert np.isnan(view({"cutout": ALWAYS}, {"images": tiles()})["images"][:, 8:]).any()


def test_a_box_below_a_cutout_is_dropped_when_too_little_is_seen():
    count = 300
    batch = {
        "images": np.full((count, 20, 20, 3), 50, np.uint8),
        "boxes": np.tile(np.array([[8, 8, 12, 12]], np.float32), (count, 1, 1)),
        "classes": np.zeros((count, 1), np.int64),
    }
    seen = view({"cutout": {**ALWAYS, "most": 0.6}, "least_visible": 0.5}, batch)
    visible = (seen["images"][:, 8:12, 8:12, 0] > 0).mean(axis=(1, 2))
    assert np.array_equal(seen["classes"][:, 0] == 0, visible >= 0.5)
    assert 0 < (visible < 0.5).sum() < count


def test_a_cloud_brightens_a_soft_part_and_hides_the_truth_below_its_middle():
    images, masks = np.full((40, 32, 32, 3), 60, np.uint8), np.ones((40, 32, 32), np.uint8)
    seen = view({"cloud": {**ALWAYS, "cover": 0.5}}, {"images": images, "masks": masks})
    density = (seen["images"][..., 0] - 60.0) / (255 - 60)
    assert density.min() >= 0
    assert density.max() == pytest.approx(0.9, abs=0.01)
    covered = (density > 0.45).mean(axis=(1, 2))
    assert 0.1 < covered.mean() < 0.4
    assert covered.max() < 0.7
    assert ((seen["masks"] == 9) != (density > 0.45)).mean() < 0.01  # but for rounding
    steps = abs(np.diff(density, axis=2)).max(axis=(1, 2))
    assert np.median(steps) < 0.5  # soft
    rasters = view({"cloud": ALWAYS}, {"images": tiles()})["images"]
    assert np.array_equal(np.isnan(rasters), np.isnan(tiles()))
    assert (np.nan_to_num(rasters - tiles()) > 50).any()


def test_a_box_below_a_cloud_is_dropped_when_too_little_is_seen():
    count = 200
    batch = {
        "images": np.full((count, 32, 32, 3), 60, np.uint8),
        "boxes": np.tile(np.array([[4, 8, 12, 20]], np.float32), (count, 1, 1)),
        "classes": np.zeros((count, 1), np.int64),
    }
    seen = view({"cloud": {**ALWAYS, "cover": 0.8}, "least_visible": 0.4}, batch)
    clear = (seen["images"][:, 4:12, 8:20, 0] < 60 + 0.45 * 195).mean(axis=(1, 2))
    sure = abs(clear - 0.4) > 0.05
    assert np.array_equal((seen["classes"][:, 0] == 0)[sure], (clear > 0.4)[sure])
    assert 0 < (clear < 0.4).sum() < count


def test_one_band_at_most_goes_missing():
    images = np.full((400, 4, 4, 5), 3.0, np.float32)
    seen = view({"missing_band": {"probability": 0.3}}, {"images": images})["images"]
    gone = np.isnan(seen)
    assert (gone.any(axis=(1, 2)) == gone.all(axis=(1, 2))).all()
    bands = gone.all(axis=(1, 2)).sum(axis=1)
    assert set(bands) == {0, 1}
    assert bands.mean() == pytest.approx(0.3, abs=0.1)
    assert gone.all(axis=(1, 2)).any(axis=0).all()


def numbered(count=48, side=8):
    """Images filled with their own number, with its one-hot encoding."""
    images = np.tile(np.arange(count, dtype=np.float32)[:, None, None, None], (1, side, side, 2))
    return {"images": images, "targets": np.eye(count, dtype=np.float32)}


def test_mixup_mixes_targets_as_it_mixes_pixels():
    batch = numbered()
    seen = view({"mixup": {"probability": 0.5, "alpha": 1.0}}, batch)
    np.testing.assert_allclose(seen["targets"].sum(axis=1), 1, rtol=1e-5)
    values = seen["targets"] @ np.arange(len(seen["targets"]))
    np.testing.assert_allclose(seen["images"][:, 3, 3, 1], values, rtol=1e-4)
    shares = np.sort(seen["targets"], axis=1)[:, -2:]
    assert 0.2 < (shares[:, 0] > 0).mean() < 0.8
    small = view({"mixup": {"probability": 1, "alpha": 0.1}}, batch)["targets"].max(axis=1)
    assert np.median(small) > 0.9  # Beta(0.1, 0.1) lies near its ends


def test_what_is_not_mixed_does_not_see_its_partners_gaps():
    images = tiles(count=30)
    images[::2] = 4.0
    seen = view({"mixup": {"probability": 0.5}}, {"images": images})["images"]
    same = [np.array_equal(one, two, equal_nan=True) for one, two in zip(seen, images, strict=True)]
    assert 0.1 < np.mean(same) < 0.9
    for one, two in zip(seen, images, strict=True):
        assert (np.isnan(one) >= np.isnan(two)).all()


def test_cutmix_mixes_targets_in_shares_of_the_area():
    batch = numbered()
    batch["masks"] = batch["images"][..., 0].astype(np.int32)
    seen = view({"cutmix": ALWAYS}, batch)
    assert np.array_equal(seen["masks"], seen["images"][..., 0])
    for number, (image, target) in enumerate(zip(seen["images"], seen["targets"], strict=True)):
        share = (image[..., 0] == number).mean()
        assert target[number] == pytest.approx(share, abs=1e-5)
        assert target.sum() == pytest.approx(1, abs=1e-5)
        assert len(np.unique(image)) <= 2
