"""PNG files, as other programs read them."""

import io

import numpy as np
import pytest
from PIL import Image

from components.raster.opencv import opencv
from components.raster.pictures.png import png_of


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (123, 77)])
def test_other_programs_read_the_same_picture(shape):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)

    found = png_of(picture)

    image = Image.open(io.BytesIO(found))
    image.verify()  # the checksums, too
    assert (image.format, image.mode) == ("PNG", "RGB")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(found))), picture)
    blue_first = opencv().imdecode(np.frombuffer(found, np.uint8), opencv().IMREAD_COLOR)
    np.testing.assert_array_equal(blue_first[..., ::-1], picture)


def test_a_picture_of_smooth_ground_is_a_fraction_of_its_pixels():
    rows, cols = np.mgrid[:400, :500]
    plane = (100 + 60 * np.sin(rows / 40) + 50 * np.cos(cols / 60)).astype(np.uint8)
    picture = np.repeat(plane[..., np.newaxis], 3, axis=2)

    assert len(png_of(picture)) < picture.size / 10
