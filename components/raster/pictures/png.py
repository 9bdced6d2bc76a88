"""PNG files of pictures, in less than half the time that Pillow takes."""

from components.raster.opencv import opencv
from components.raster.pictures.stretch import Picture

_LEVEL = 1


def png_of(picture: Picture) -> bytes:
    """Returns a picture (H, W, 3) as a PNG file.

    Each row is stored as its difference from the one above, which suits both imagery and flat
    colours; Pillow tries five filters for each row.
    """
    cv = opencv()
    options = [cv.IMWRITE_PNG_COMPRESSION, _LEVEL, cv.IMWRITE_PNG_FILTER, cv.IMWRITE_PNG_FILTER_UP]
    blue_first = cv.cvtColor(picture, cv.COLOR_RGB2BGR)
    return bytes(cv.imencode(".png", blue_first, options)[1])
