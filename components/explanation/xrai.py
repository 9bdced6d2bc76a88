"""XRAI: the regions of an image in the order of their attributions."""

import numpy as np
import numpy.typing as npt

from components.explanation.extra import package
from components.raster.pictures.heat import Heat
from components.raster.pictures.stretch import Picture


def xrai(picture: Picture, attributions: Heat) -> npt.NDArray[np.float64]:
    """Ranks regions of a picture by the attributions within them: (H, W), hotter first.

    Kapishnikov et al. 2019, arXiv 1906.02825.

    Args:
        picture: (H, W, 3), which is divided into regions.
        attributions: of integrated gradients, (H, W).
    """
    core = package("saliency.core", "xrai")
    base = np.repeat(attributions[..., np.newaxis].astype(np.float64), 3, axis=-1)
    found: npt.NDArray[np.float64] = core.XRAI().GetMask(
        picture.astype(np.float64), call_model_function=None, base_attribution=base
    )
    return found
