"""Final answers of a band's pixels, as the bytes that rasters store."""

import numpy as np
import numpy.typing as npt

from components.mapping.blending import Blend, in_steps
from components.mapping.compiled import STEPS, Floats, Indices
from components.mapping.config import MapConfig
from components.mapping.mosaic import State
from components.mapping.unknown import PERCENTILE_NODATA, masked_where, stored_percentiles
from components.raster.labels.targets import ignore_value, mask_dtype
from components.raster.opencv import opencv
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask

#: Probabilities are stored in steps of this, as bytes; 255 is nodata.
PROBABILITY_STEP = 1 / STEPS
PROBABILITY_NODATA = 255


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

    def put(self, window: Window, blend: Blend, valid: Mask | None) -> None:
        """Sets the pixels of a window to their final values.

        Args:
            window: of the scene.
            blend: of (K, H, W) class probabilities; (K + 1, H, W) with the percentiles of unknown
                imagery, where they mask.
            valid: (H, W), where they are known; None: everywhere.
        """
        corner = window.row - self.top, window.col - self._left
        here = Window(*corner, window.height, window.width).slices
        hidden = None if valid is None else ~valid
        if len(self.probabilities) or len(self.percentiles):
            values = blend.values()
            blend = Blend.of(values[: self._count])
            if len(self.percentiles):
                known = np.ones(values.shape[1:], np.bool_) if valid is None else valid
                stored = stored_percentiles(values[self._count], known)
                self.percentiles[here] = stored
                hidden = ~known | masked_where(stored, self._config)
            for plane, own in zip(self.probabilities, values, strict=False):
                plane[here] = as_bytes(own, hidden)
        blend.classes(self.classes, self.confidence, corner)
        if hidden is not None:
            self.classes[here][hidden] = self._nodata
            self.confidence[here][hidden] = PROBABILITY_NODATA

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


def as_bytes(probabilities: Floats, unknown: Mask | None) -> npt.NDArray[np.uint8]:
    """Returns probabilities (H, W) as multiples of `PROBABILITY_STEP`, nodata where unknown."""
    return _masked(in_steps(probabilities), unknown, PROBABILITY_NODATA)


def _masked(numbers: Indices, unknown: Mask | None, nodata: int) -> Indices:
    if unknown is not None:
        opencv().copyTo(np.full_like(numbers, nodata), unknown.view(np.uint8), numbers)
    return numbers
