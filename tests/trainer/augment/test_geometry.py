import numpy as np
import pytest

from tests.trainer.augment.batches import distinct, tiles, view
from trainer.augment.geometry import symmetries


def eight(image):
    """The symmetries of a square by numpy's own rotations and flips."""
    return [np.rot90(kind, turns) for kind in (image, image[:, ::-1]) for turns in range(4)]


@pytest.mark.parametrize(
    ("flip", "turns", "expected"),
    [
        (("horizontal", "vertical"), True, eight),
        (("horizontal",), False, lambda image: [image, image[:, ::-1]]),
        (("vertical",), False, lambda image: [image, image[::-1]]),
        ((), True, lambda image: [np.rot90(image, turns) for turns in range(4)]),
        (
            ("horizontal", "vertical"),
            False,
            lambda i: [i, i[::-1], i[:, ::-1], i[::-1, ::-1]],
        ),
    ],
)
def test_images_become_just_the_symmetries_that_were_asked_for(flip, turns, expected):
    images = distinct(count=200)
    seen = view({"flip": flip, "quarter_turns": turns}, {"images": images})["images"]
    found = {image.tobytes() for image in seen}
    assert found == {np.ascontiguousarray(image).tobytes() for image in expected(images[0])}


def test_images_that_are_not_square_are_flipped_and_never_turned():
    images = distinct(count=100, height=6, width=10)
    seen = view({"flip": ("horizontal", "vertical"), "quarter_turns": True}, {"images": images})
    first = images[0]
    expected = {first.tobytes(), first[::-1].tobytes(), first[:, ::-1].tobytes()}
    expected.add(first[::-1, ::-1].tobytes())
    assert {image.tobytes() for image in seen["images"]} == expected


def test_each_symmetry_is_as_likely_as_any_other():
    images = distinct(count=4000)
    seen = view({"flip": ("horizontal", "vertical"), "quarter_turns": True}, {"images": images})
    counts = np.unique([image.tobytes() for image in seen["images"]], return_counts=True)[1]
    assert len(counts) == 8
    assert abs(counts - 500).max() < 5 * np.sqrt(500)


def test_masks_and_boxes_turn_with_their_image():
    """A box is drawn into image and mask: after any turn it must still lie on its own pixels."""
    count, side = 100, 8
    images = np.zeros((count, side, side, 3), np.uint8)
    images[:, 1:3, 2:7] = 200
    masks = (images[..., 0] > 0).astype(np.uint8)
    boxes = np.tile(np.array([[1, 2, 3, 7], [0, 0, 0, 0]], np.float32), (count, 1, 1))
    classes = np.tile(np.array([4, -1]), (count, 1))
    batch = {"images": images, "masks": masks, "boxes": boxes, "classes": classes}
    seen = view({"flip": ("horizontal", "vertical"), "quarter_turns": True}, batch)
    assert np.array_equal(seen["masks"], seen["images"][..., 0] // 200)
    assert np.array_equal(seen["classes"], classes)
    for mask, ((top, left, bottom, right), padding) in zip(
        seen["masks"], seen["boxes"].astype(int), strict=True
    ):
        drawn = np.zeros_like(mask)
        drawn[top:bottom, left:right] = 1
        assert np.array_equal(mask, drawn)
        assert not padding.any()


def test_a_symmetry_moves_pixels_without_data_and_makes_none():
    images = tiles()
    seen = view({"quarter_turns": True}, {"images": images})["images"]
    assert (np.isnan(seen).sum((1, 2, 3)) == np.isnan(images).sum((1, 2, 3))).all()
    assert np.allclose(np.nansum(seen, (1, 2, 3)), np.nansum(images, (1, 2, 3)))


def test_the_symmetries_are_groups():
    assert symmetries((), False) == (0,)
    assert [len(symmetries(("vertical",), turns)) for turns in (False, True)] == [2, 8]


def interpolated(image, start, size):
    """Bilinear values of one band (H, W) at a window, NaN outside, by numpy alone."""
    height, width = image.shape
    rows = start[0] * (height - 1) + size * np.arange(height)
    cols = start[1] * (width - 1) + size * np.arange(width)
    by_row = np.stack([np.interp(rows, np.arange(height), column) for column in image.T], axis=1)
    values = np.stack([np.interp(cols, np.arange(width), row) for row in by_row])
    outside = (rows < 0) | (rows > height - 1)
    values[outside] = np.nan
    values[:, (cols < 0) | (cols > width - 1)] = np.nan
    return values


def windows(seen, side):
    """Start and size of each window, read off from images that hold their own rows and columns."""
    found = []
    for image in seen:
        rows, cols = image[..., 0], image[..., 1]
        row, col = np.nanmean(rows, axis=1), np.nanmean(cols, axis=0)
        size = np.nanmedian(np.diff(row))
        starts = [np.nanmedian(each - size * np.arange(side)) / (side - 1) for each in (row, col)]
        found.append((starts, size))
    return found


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize(
    "parts",
    [
        {"zoom": {"least": 0.6, "most": 1.6}},
        {"crop": {"least_area": 0.4}},
        {"shift": {"most": 0.3}},
        {"zoom": {}, "crop": {}, "shift": {}},
    ],
)
def test_values_masks_and_boxes_are_those_of_one_window(parts):
    side, count = 12, 40
    rows, cols = np.mgrid[0:side, 0:side].astype(np.float32)
    other = np.random.default_rng(1).normal(0, 1, (side, side)).astype(np.float32)
    images = np.tile(np.stack([rows, cols, other], axis=-1), (count, 1, 1, 1))
    masks = np.tile((other > 0).astype(np.uint8), (count, 1, 1))
    boxes = np.tile(np.array([[4, 3, 9, 8]], np.float32), (count, 1, 1))
    batch = {"images": images, "masks": masks, "boxes": boxes, "classes": np.zeros((count, 1), int)}
    seen = view({**parts, "least_visible": 0}, batch)
    whole = 0
    for number, ((top, left), size) in enumerate(windows(seen["images"], side)):
        expected = interpolated(other, (top, left), size)
        np.testing.assert_allclose(seen["images"][number, ..., 2], expected, atol=1e-4)
        at = [np.rint(start * (side - 1) + size * np.arange(side)) for start in (top, left)]
        nearest = masks[0][np.ix_(*(np.clip(it, 0, side - 1).astype(int) for it in at))]
        known = ~np.isnan(expected)
        agree = seen["masks"][number][known] == nearest[known]
        assert agree.mean() > 0.95  # exact halves may be rounded either way
        assert (seen["masks"][number][~known] == 9).all()
        edges = (np.array([4, 3, 9, 8]) - 0.5 - (side - 1) * np.tile([top, left], 2)) / size + 0.5
        cut = np.clip(edges, 0, side)
        if (cut[2:] > cut[:2]).all():
            np.testing.assert_allclose(seen["boxes"][number, 0], cut, atol=1e-3)
        whole += np.array_equal(seen["images"][number], images[number], equal_nan=True)
    assert 0 < whole < count  # some have not changed by a bit


def test_photographs_get_black_rims_and_rasters_unknown_ones():
    away = {"shift": {"probability": 1, "most": 0.5}}
    photographs = view(away, {"images": np.full((20, 16, 16, 3), 200, np.uint8)})["images"]
    assert set(np.unique(photographs)) == {0, 200}
    rasters = view(away, {"images": np.full((20, 16, 16, 4), 7.0, np.float32)})["images"]
    assert set(np.unique(rasters[~np.isnan(rasters)])) == {7.0}
    assert np.isnan(rasters).any()


def test_pixels_without_data_are_never_smeared():
    """Beside no data a value must come from known pixels alone, and no data must stay itself."""
    images = np.full((40, 16, 16, 2), 5.0, np.float32)
    images[:, :, :6] = np.nan
    seen = view({"zoom": {"probability": 1}}, {"images": images})["images"]
    known = seen[~np.isnan(seen)]
    np.testing.assert_allclose(known, 5.0, rtol=1e-5)
    share = np.isnan(seen[:, 8, :, 0]).mean()
    assert 0.3 < share < 0.5


def test_boxes_of_which_too_little_remains_are_dropped():
    count = 200
    batch = {
        "images": np.zeros((count, 10, 10, 3), np.uint8),
        "boxes": np.tile(np.array([[0, 4, 2, 6]], np.float32), (count, 1, 1)),
        "classes": np.full((count, 1), 3),
    }
    parts = {"shift": {"probability": 1, "most": 0.3}, "least_visible": 0.5}
    seen = view(parts, batch)
    heights = seen["boxes"][:, 0, 2] - seen["boxes"][:, 0, 0]
    assert set(np.unique(seen["classes"])) == {-1, 3}
    assert (heights[seen["classes"][:, 0] == 3] >= 1).all()
    assert (seen["boxes"][seen["classes"][:, 0] == -1] == 0).all()
