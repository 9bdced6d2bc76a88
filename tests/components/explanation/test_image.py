"""The picture behind a heat map."""

import pytest

from components.explanation.image import model_picture
from components.raster.errors import DataError
from components.raster.image import ImageSpec
from tests.components.models import image_bytes


@pytest.mark.parametrize("image", [b"no image", image_bytes(0.5)[:33]])
def test_an_image_that_pillow_cannot_read_is_refused(image):
    with pytest.raises(DataError, match="cannot be drawn"):
        model_picture(image, ImageSpec(height_px=8, width_px=8))
