"""Final answers of a band's pixels, as the bytes that rasters store."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from components.mapping.config import MapConfig
from components.mapping.mosaic import Floats, State
from components.mapping.unknown import PERCENTILE_NODATA, masked_where, stored_percentiles
from components.raster.labels.targets import ignore_value, mask_dtype
from components.raster.opencv import opencv
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask

Indices: TypeAlias = npt.NDArray[np.unsignedinteger]

#: Probabilities are stored in steps of this, as bytes; 255 is nodata.
PROBABILITY_STEP = 0.004
PROBABILITY_NODATA = 255
#: About the number of pixels compared at a time, which fit into a core's cache.
_CHUNK_PX = 1 << 15


def settled_bytes(classes: int, config: MapConfig) -> int:
    """Returns the bytes per pixel of `Settled`: class, confidence and any optional planes."""
    more = classes * config.probabilities + config.masks_unknown
    return np.dtype(mask_dtype(classes)).itemsize + 1 + more


class Settled:
    """Class and probability of each pixel in a window of rows that moves down a scene.

    Attributes:
        top: the first row in the scene.
        classes: (rows, width) indices.
        confidence: (rows, width), the probability of the class in steps of `PROBABILITY_STEP`.
        probabilities: (K, rows, width) in the same steps; K is 0 if they are not wanted.
        percentiles: (rows, width) of unknown imagery, as `components.mapping.unknown` stores them;
            no rows if they mask nothing.
    """

    def __init__(
        self, count: int, rows: int, left: int, right: int, top: int, config: MapConfig
    ) -> None:
        """Starts with nothing known.

        Args:
            count: K, the number of classes.
            rows: number of rows kept at a time.
            left: the first column in the scene.
            right: the column after the last.
            top: the first row.
            config: whether to keep the probabilities of all classes, and the percentile above
                which to mask.
        """
        self._count, self._config = count, config
        width = right - left
        self._nodata, self._left, self.top = ignore_value(count), left, top
        self.classes = np.full((rows, width), self._nodata, mask_dtype(count))
        self.confidence = np.full((rows, width), PROBABILITY_NODATA, np.uint8)
        planes = count if config.probabilities else 0
        self.probabilities = np.full((planes, rows, width), PROBABILITY_NODATA, np.uint8)
        rows = rows if config.masks_unknown else 0
        self.percentiles = np.full((rows, width), PERCENTILE_NODATA, np.uint8)

    def put(self, window: Window, values: Floats, valid: Mask | None) -> None:
        """Sets the pixels of a window to their final values.

        Args:
            window: of the scene.
            values: (K, H, W) class probabilities; (K + 1, H, W) with the percentiles of unknown
                imagery, where they mask.
            valid: (H, W), where they are known; None: everywhere.
        """
        top, left = window.row - self.top, window.col - self._left
        chunks = max(1, round(window.area_px / _CHUNK_PX))
        step = -(-window.height // chunks)
        unknown = None if valid is None else ~valid
        for first in range(0, window.height, step):
            part = slice(first, min(first + step, window.height))
            rows = slice(top + part.start, top + part.stop)
            here = rows, slice(left, left + window.width)
            hidden = None if unknown is None else unknown[part]
            if len(self.percentiles):
                percentiles = values[self._count, part]
                known = np.ones(percentiles.shape, np.bool_) if valid is None else valid[part]
                stored = stored_percentiles(percentiles, known)
                self.percentiles[here] = stored
                hidden = ~known | masked_where(stored, self._config)
            classes, best = most_probable(values[: self._count, part], self.classes.dtype)
            self.classes[here] = _masked(classes, hidden, self._nodata)
            self.confidence[here] = as_bytes(best, hidden)
            for plane, own in zip(self.probabilities, values[:, part], strict=False):
                plane[here] = as_bytes(own, hidden)

    def move(self, rows: int, kept: int) -> None:
        """Moves down by some rows; `kept` rows below them may be known already."""
        self.top += rows
        for array, fill in (
            (self.classes, self._nodata),
            (self.confidence, PROBABILITY_NODATA),
            *((plane, PROBABILITY_NODATA) for plane in self.probabilities),
            (self.percentiles, PERCENTILE_NODATA),
        ):
            array[:kept] = array[rows : rows + kept]
            array[kept : rows + kept] = fill

    def state(self, rows: int) -> State:
        """Returns the first rows."""
        return {
            "classes": self.classes[:rows],
            "confidence": self.confidence[:rows],
            "probabilities": self.probabilities[:, :rows],
            "percentiles": self.percentiles[:rows],
        }

    def restore(self, state: State) -> None:
        """Sets the first rows to those of `state`."""
        rows = len(state["classes"])
        self.classes[:rows], self.confidence[:rows] = state["classes"], state["confidence"]
        self.probabilities[:, :rows] = state["probabilities"]
        self.percentiles[:rows] = state["percentiles"]


def most_probable(values: Floats, dtype: npt.DTypeLike) -> tuple[Indices, Floats]:
    """Returns each pixel's class (H, W), and its probability, of values (K, H, W).

    The first of equally probable classes wins. Faster than numpy's argmax along the first axis.
    """
    cv, best = opencv(), values[0]
    classes, number = np.zeros(best.shape, dtype), np.empty(best.shape, dtype)
    is_more, most = np.empty(best.shape, np.uint8), np.empty(best.shape, np.float32)
    for index, plane in enumerate(values[1:], 1):
        cv.compare(plane, best, cv.CMP_GT, is_more)
        best = cv.max(plane, best, most)
        number.fill(index)
        cv.copyTo(number, is_more, classes)
    return classes, best


def as_bytes(probabilities: Floats, unknown: Mask | None) -> npt.NDArray[np.uint8]:
    """Returns probabilities (H, W) as multiples of `PROBABILITY_STEP`, nodata where unknown."""
    cv, most = opencv(), round(1 / PROBABILITY_STEP)
    steps = cv.convertScaleAbs(probabilities, None, most, 0)
    cv.threshold(steps, most, most, cv.THRESH_TRUNC, steps)
    return _masked(steps, unknown, PROBABILITY_NODATA)


def _masked(numbers: Indices, unknown: Mask | None, nodata: int) -> Indices:
    if unknown is not None:
        opencv().copyTo(np.full_like(numbers, nodata), unknown.view(np.uint8), numbers)
    return numbers
