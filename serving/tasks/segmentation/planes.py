"""Class probabilities of an image in a compact form: one PNG whose rows are planes of classes.

Tensors would be fifty times slower to transfer, since a server sends each number as a field.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from components.raster.errors import DataError

#: Probabilities (N, K, H, W) of decoded tiles.
CLASS_PROBABILITIES_OUTPUT = "class_probabilities"
#: The same for encoded images, each as a PNG. Over REST, TensorFlow Serving sends a string as bytes
#: if its name ends with `_bytes`.
PLANES_OUTPUT = "class_planes_bytes"
#: A probability of 1 in a plane.
FULL = 255


def read_planes(png: bytes, classes: int) -> npt.NDArray[np.float32]:
    """Decodes the probabilities (K, H, W) of an image.

    Raises:
        DataError: the bytes are not a PNG of these planes.
    """
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            levels = np.asarray(image)
    except (OSError, ValueError) as error:
        raise DataError(f"the model's class planes are not a PNG: {error}") from error
    if levels.ndim != 2 or levels.dtype != np.uint8 or len(levels) % classes:
        raise DataError(f"the model's class planes are {levels.shape}, not {classes} gray planes")
    planes = levels.reshape(classes, -1, levels.shape[1])
    return np.multiply(planes, np.float32(1 / FULL), dtype=np.float32)
