"""Anchors: the boxes relative to which a detector predicts."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

#: Number of box sizes at one place, in thirds of an octave, and ratios of height to width (Lin et
#: al. 2017, arXiv 1708.02002).
SCALES = 3
RATIOS = (0.5, 1.0, 2.0)
PER_PLACE = SCALES * len(RATIOS)


@dataclass(frozen=True)
class Anchors:
    """A grid of boxes at each level of a feature pyramid.

    Attributes:
        height_px: height of the model's image.
        width_px: width of the model's image.
        finest: the level with the smallest boxes; level L has a place every 2^L pixels.
        levels: number of levels, each at half the resolution of the one before.
        smallest_px: side of the smallest boxes.
    """

    height_px: int
    width_px: int
    finest: int
    levels: int
    smallest_px: float

    @property
    def coarsest(self) -> int:
        return self.finest + self.levels - 1

    def grid(self, level: int) -> tuple[int, int]:
        """Returns the rows and columns of places at a level."""
        return math.ceil(self.height_px / 2**level), math.ceil(self.width_px / 2**level)

    def boxes(self) -> npt.NDArray[np.float32]:
        """Returns the boxes [A, 4], ordered by level, row, column and kind.

        Their columns are top, left, bottom and right, in pixels.
        """
        return _boxes(self)


@functools.lru_cache(maxsize=8)
def _boxes(anchors: Anchors) -> npt.NDArray[np.float32]:
    import keras_hub  # takes seconds to import, and only detectors need it

    generator = keras_hub.layers.AnchorGenerator(
        bounding_box_format="yxyx",
        min_level=anchors.finest,
        max_level=anchors.coarsest,
        num_scales=SCALES,
        aspect_ratios=list(RATIOS),
        anchor_size=anchors.smallest_px / 2**anchors.finest,
    )
    image = np.zeros((1, anchors.height_px, anchors.width_px, 3), np.float32)
    with tf.init_scope():  # the first request may come while a graph is traced
        return np.concatenate([np.asarray(part) for part in generator(image).values()])
