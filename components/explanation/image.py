"""Picture of an image as a model sees it, made without TensorFlow."""

import io

import numpy as np
from PIL import Image, ImageOps

from components.raster.errors import DataError
from components.raster.fitting import fit_picture
from components.raster.image import ImageSpec
from components.raster.payload import decode_payload
from components.raster.pictures.stretch import Picture, choose_bands, picture_of, stretch_of


def model_picture(image: bytes, spec: ImageSpec) -> Picture:
    """Returns the picture (H, W, 3) of an encoded image in the shape of a model's input.

    Args:
        image: a photograph's file, or a raster's payload.
        spec: the model's input.

    Raises:
        DataError: Pillow, which draws photographs, cannot read it; the model's decoder may.
    """
    if spec.bands is None:
        try:
            with Image.open(io.BytesIO(image)) as opened:
                upright = ImageOps.exif_transpose(opened) or opened
                return fit_picture(np.asarray(upright.convert("RGB")), spec)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            why = type(error).__name__
            raise DataError(
                f"the image cannot be drawn: Pillow does not read it ({why})"
            ) from error
    payload = decode_payload(image)
    bands = choose_bands(payload.bands)
    stretch = stretch_of([(payload.pixels, payload.valid)], bands)
    return fit_picture(picture_of(payload.pixels, payload.valid, bands, stretch), spec)
