"""An image and the score of its answer, as methods without gradients see them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

#: Pixels (N, H, W, C) of a model's input; NaN marks nodata of a raster.
Pixels: TypeAlias = npt.NDArray[Any]
Score = Callable[[Pixels], npt.NDArray[np.floating]]
#: Modified copies of an image made at a time, which bounds the memory.
COPIES = 16


@dataclass(frozen=True, eq=False)
class Question:
    """One image and the score of its answer, which methods without gradients query repeatedly.

    Attributes:
        pixels: (H, W, C), as the model sees the image.
        explained: the class, or the name of the number.
        score: maps pixels (N, H, W, C) of modified copies to their scores [N].
    """

    pixels: Pixels
    explained: str
    score: Score

    @property
    def own_score(self) -> float:
        """The score of the unmodified image."""
        return float(self.score(self.pixels[np.newaxis])[0])
