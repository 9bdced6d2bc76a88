"""Masks and boxes land where the served graph puts the image's own pixels."""

import numpy as np
import pytest
import tensorflow as tf

from components.raster.fitting import fit_boxes, fit_mask, place
from components.raster.image import ImageSpec
from serving.fitting import resample

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


def test_what_is_cut_away_is_told() -> None:
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
