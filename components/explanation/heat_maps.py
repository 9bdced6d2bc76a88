"""Heat maps of a model's answers, by every method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Self

import numpy as np

from components.explanation.image import model_picture
from components.explanation.model import ExplainedModel
from components.explanation.occlusion import occlusion
from components.explanation.superpixels import SuperpixelFit, kernel_shap, lime, superpixels
from components.explanation.xrai import xrai
from components.raster.errors import DataError
from components.raster.pictures.heat import Heat, scaled_heat
from serving.client.explanation import GRADIENTS, Explanation

#: Windows of occlusion along a side of the image, each of which overlaps the next by half.
_WINDOWS = 8
_SUPERPIXELS = 48
_SAMPLES = 400
_OVERFLOW = (
    "the score or what it follows from is not finite, so that no heat explains it: the image has "
    "numbers near the limit of float32, such as nodata that its file does not declare"
)


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """Heat maps of one image, by name, and the part of the answer that they explain."""

    explained: str
    score: float
    heats: Mapping[str, Heat]

    def __post_init__(self) -> None:
        """Raises DataError if the score or the heat is not finite."""
        heat_is_finite = all(np.isfinite(heat).all() for heat in self.heats.values())
        if not (heat_is_finite and isfinite(self.score)):
            raise DataError(_OVERFLOW)

    @classmethod
    def of_graph(cls, found: Explanation) -> Self:
        """Returns the heat maps computed by the model's graph.

        Raises:
            DataError: its numbers overflowed.
        """
        if not found.is_finite:
            raise DataError(_OVERFLOW)
        return cls(found.explained, found.score, found.heats)


def gradients(model: ExplainedModel, image: bytes, target: str = "") -> HeatMaps:
    """Explains an answer in the graph: integrated gradients, and Grad-CAM if it has feature maps.

    Raises:
        DataError: the model was exported without explanations, or refuses the image or target.
    """
    [found] = model.explain([image], target)
    return HeatMaps.of_graph(found)


def by_regions(model: ExplainedModel, image: bytes, target: str = "") -> HeatMaps:
    """Explains an answer by XRAI, on integrated gradients."""
    [found] = model.explain([image], target)
    heats = HeatMaps.of_graph(found).heats
    heat = xrai(model_picture(image, model.contract.image), heats[GRADIENTS])
    return HeatMaps(found.explained, found.score, {"xrai": scaled_heat(heat)})


def by_occlusion(model: ExplainedModel, image: bytes, target: str = "") -> HeatMaps:
    """Explains an answer by hiding windows; needs only the model's answers."""
    question = model.question(image, target)
    window = max(2, max(question.pixels.shape[:2]) // _WINDOWS)
    heat = occlusion(question.score, question.pixels, window, max(1, window // 2))
    return HeatMaps(question.explained, question.own_score, {"occlusion": scaled_heat(heat)})


def by_superpixels(fit: SuperpixelFit, name: str) -> "Method":
    """Returns the method that explains an answer by the shares of its superpixels."""

    def method(model: ExplainedModel, image: bytes, target: str = "") -> HeatMaps:
        question = model.question(image, target)
        segments = superpixels(question.pixels, _SUPERPIXELS)
        heat = scaled_heat(fit(question.score, question.pixels, segments, _SAMPLES))
        return HeatMaps(question.explained, question.own_score, {name: heat})

    return method


Method = Callable[[ExplainedModel, bytes, str], HeatMaps]

#: The methods that give heat maps, by name.
METHODS: Mapping[str, Method] = {
    "gradients": gradients,
    "xrai": by_regions,
    "occlusion": by_occlusion,
    "lime": by_superpixels(lime, "lime"),
    "shap": by_superpixels(kernel_shap, "shap"),
}
