"""Font of pictures."""

import functools
import importlib.util
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
_DEJAVU = Path("mpl-data", "fonts", "ttf", "DejaVuSans.ttf")


@functools.cache
def font(size_px: int) -> Font:
    """Returns DejaVu Sans, shipped with matplotlib; else Pillow's own font, with few scripts."""
    found = importlib.util.find_spec("matplotlib")
    path = Path(found.origin).parent / _DEJAVU if found and found.origin else None
    if path is not None and path.is_file():
        return ImageFont.truetype(str(path), size_px)
    return ImageFont.load_default(size_px)
