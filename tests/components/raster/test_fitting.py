"""Masks and boxes land where the served graph puts the image's own pixels."""

import numpy as np
import pytest
import tensorflow as tf

from components.raster.fitting import fit_boxes, fit_mask, place, unfit_boxes, unfit_mask
from components.raster.image import ImageSpec
from serving.graph.fitting import resample

SHAPES = [(8, 8), (16, 8), (9, 31), (40, 23), (64, 64), (100, 37)]
FITS = ("stretch", "pad", "crop")


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("fit", FITS)
def test_an_image_reaches_the_pixels_that_its_mask_reaches(fit: str, size: tuple[int, int]) -> None:
    spec = ImageSpec(height_px=16, width_px=24, fit=fit)
    image = resample(tf.ones((*size, 1)), spec).numpy()[..., 0]
    mask = fit_mask(np.ones(size, np.uint8), spec, fill=255)
    np.testing.assert_array_equal(image > 0.5, mask == 1)


@pytest.mark.parametrize("size", SHAPES)
def test_a_stretched_mask_is_what_the_nearest_resizing_of_tensorflow_gives(
    size: tuple[int, int],
) -> None:
    mask = np.random.default_rng(0).integers(0, 200, size).astype(np.uint8)
    expected = tf.image.resize(mask[..., None], (16, 24), "nearest").numpy()[..., 0]
    np.testing.assert_array_equal(
        fit_mask(mask, ImageSpec(height_px=16, width_px=24), 255), expected
    )


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("fit", FITS)
def test_a_box_surrounds_what_the_graph_makes_of_its_pixels(
    fit: str, size: tuple[int, int]
) -> None:
    """A white rectangle: its weight and centre after the graph are those of the moved box."""
    spec = ImageSpec(height_px=48, width_px=32, fit=fit)
    top, left, bottom, right = size[0] // 4, size[1] // 4, size[0] // 2 + 2, size[1] // 2 + 2
    white = np.zeros((*size, 1), np.float32)
    white[top:bottom, left:right] = 1
    image = resample(tf.constant(white), spec).numpy()[..., 0]
    ((moved,), _) = fit_boxes(np.array([[top, left, bottom, right]]), size, spec)
    rows, columns = np.indices(image.shape) + 0.5
    centre = [(image * at).sum() / image.sum() for at in (rows, columns)]
    np.testing.assert_allclose(centre, (moved[:2] + moved[2:]) / 2, atol=0.75)
    assert image.sum() == pytest.approx(np.prod(moved[2:] - moved[:2]), rel=0.12)


def test_what_is_cut_away_is_reported() -> None:
    """20 x 40 into 20 x 20: ten columns are cut at each side."""
    spec = ImageSpec(height_px=20, width_px=20, fit="crop")
    assert place(20, 40, spec).offset_px == (0, -10)
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 20], [5, 12, 8, 16]])
    edges, share = fit_boxes(boxes, (20, 40), spec)
    np.testing.assert_array_equal(share, [0, 0.5, 1])
    np.testing.assert_array_equal(edges[1:], [[0, 0, 10, 10], [5, 2, 8, 6]])


def test_padding_has_no_truth() -> None:
    """8 x 16 into 16 x 16: four rows above and below."""
    fitted = fit_mask(
        np.zeros((8, 16), np.uint8), ImageSpec(height_px=16, width_px=16, fit="pad"), 255
    )
    assert (fitted[:4] == 255).all()
    assert (fitted[4:12] == 0).all()
    assert (fitted[12:] == 255).all()


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_what_was_fitted_goes_back_to_where_it_was(fit):
    """A half of an image stays that half, to the pixels on which it ends, and so do boxes."""
    spec = ImageSpec(height_px=48, width_px=64, fit=fit)
    for size in ((48, 64), (200, 100), (60, 300), (31, 17)):
        mask = np.zeros(size, np.uint8)
        mask[: size[0] // 2] = 1
        found = unfit_mask(fit_mask(mask, spec, 255), size, spec, 255)
        assert found.shape == size
        seen = found != 255
        assert seen.all() or fit == "crop"
        step = (
            -(-max(size[0] / 48, size[1] / 64) // 1) + 1
        )  # pixels of the image in one of the model
        rows = np.abs(np.arange(size[0]) + 0.5 - size[0] / 2) > step
        assert np.array_equal(found[rows][seen[rows]], mask[rows][seen[rows]])
        box = np.array([[size[0] / 4, size[1] / 4, size[0] / 2, size[1] * 0.75]])
        fitted, share = fit_boxes(box, size, spec)
        back = unfit_boxes(fitted, size, spec)
        if share[0] == 1:
            np.testing.assert_allclose(back, box, atol=1e-3)
