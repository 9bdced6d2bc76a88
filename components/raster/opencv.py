"""OpenCV, imported when pixels are computed."""

from functools import cache
from typing import Any


@cache
def opencv() -> Any:
    """Returns the module `cv2`, set to one thread: Beam's workers use the cores by processes.

    Its import takes a quarter of a second, which commands without pixels save.
    """
    import cv2

    cv2.setNumThreads(1)
    return cv2
