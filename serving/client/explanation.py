"""Explanations of answers from `serving_explain`; imports no TensorFlow."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt
from PIL import Image

from serving.client.wire_tensors import Array, string_array
from serving.contract.names import (
    ATTRIBUTION_SUM_OUTPUT,
    BASELINE_SCORE_OUTPUT,
    BYTES_INPUT,
    EXPLAINED_OUTPUT,
    GRAD_CAM_OUTPUT,
    GRADIENTS_OUTPUT,
    SCORE_OUTPUT,
    TARGET_INPUT,
)
from serving.tasks.registry import AnswerError

#: Heat of each pixel [H, W] of the model's image, from 0 to 1.
Heat = npt.NDArray[np.float32]

#: Methods of explanation in the graph.
GRADIENTS, GRAD_CAM = "integrated_gradients", "grad_cam"

_FULL = 65535
#: Smaller differences of scores count as 0, of which a gap cannot be a share.
_LEAST_DIFFERENCE = 1e-6


@dataclass(frozen=True, eq=False)
class Explanation:
    """The pixels of an image on which an answer depends.

    Attributes:
        explained: the explained class, or the name of the explained number.
        score: of the image: the logit of a class, or the number.
        baseline_score: of the baseline image from which gradients are integrated.
        attribution_sum: sum of the attributions of integrated gradients.
        heats: heat maps by method: `integrated_gradients`, and `grad_cam` if the network has
        feature maps.
        model_version: version that answered; None if the server does not report it.
    """

    explained: str
    score: float
    baseline_score: float
    attribution_sum: float
    heats: Mapping[str, Heat]
    model_version: int | None = None

    @property
    def is_finite(self) -> bool:
        """True if no number overflowed; otherwise the heat maps are meaningless."""
        return isfinite(self.score) and isfinite(self.baseline_score + self.attribution_sum)

    @property
    def completeness_gap(self) -> float:
        """Share of the score's difference from the baseline that the attributions miss."""
        difference = self.score - self.baseline_score
        return abs(self.attribution_sum - difference) / max(abs(difference), _LEAST_DIFFERENCE)


def explain_inputs(images: Sequence[bytes], target: str) -> dict[str, Array]:
    """Returns the inputs of `serving_explain` for images that share a target."""
    targets = [target.encode()] * len(images)
    return {BYTES_INPUT: string_array(images), TARGET_INPUT: string_array(targets)}


def read_explanations(
    outputs: Mapping[str, Array], count: int, version: int | None
) -> list[Explanation]:
    """Converts the outputs of `serving_explain`, arrays with a row for each image.

    Raises:
        AnswerError: an output is missing, or does not have `count` rows.
    """
    needed = (EXPLAINED_OUTPUT, SCORE_OUTPUT, BASELINE_SCORE_OUTPUT, ATTRIBUTION_SUM_OUTPUT)
    if missing := [name for name in needed if name not in outputs]:
        raise AnswerError(f"the answer holds no explanation: it has no {', '.join(missing)}")
    maps = {
        method: outputs[output]
        for method, output in ((GRADIENTS, GRADIENTS_OUTPUT), (GRAD_CAM, GRAD_CAM_OUTPUT))
        if output in outputs
    }
    rows = {len(values) for values in (*maps.values(), *(outputs[name] for name in needed))}
    if rows != {count}:
        raise AnswerError(f"the answer explains {sorted(rows)} images, and {count} were sent")
    try:
        return [
            Explanation(
                explained=outputs[EXPLAINED_OUTPUT][row].decode(),
                score=float(outputs[SCORE_OUTPUT][row]),
                baseline_score=float(outputs[BASELINE_SCORE_OUTPUT][row]),
                attribution_sum=float(outputs[ATTRIBUTION_SUM_OUTPUT][row]),
                heats={method: read_heat(pngs[row]) for method, pngs in maps.items()},
                model_version=version,
            )
            for row in range(count)
        ]
    except (AttributeError, TypeError, ValueError, OSError) as error:
        raise AnswerError(f"the explanation cannot be read: {error}") from error


def read_heat(png: bytes) -> Heat:
    """Decodes a gray PNG of 16 bits to values from 0 to 1."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image, np.float32) / np.float32(_FULL)
