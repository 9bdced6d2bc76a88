"""LIME and KernelSHAP: the shares of an image's superpixels in a score."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from components.explanation.extra import package
from components.explanation.occlusion import filling
from components.explanation.question import COPIES, Pixels, Score

#: Index of the superpixel of each pixel, (H, W).
Segments = npt.NDArray[np.integer]

#: Maps score, pixels, segments and the number of samples to the share of each pixel, (H, W).
SuperpixelFit = Callable[[Score, Pixels, Segments, int], npt.NDArray[np.float64]]

_COMPACTNESS = 0.3
#: Width of LIME's kernel, in cosine distance, and its ridge penalty.
_KERNEL, _PENALTY = 0.25, 1e-3
_SEED = 0


def superpixels(pixels: Pixels, count: int) -> Segments:
    """Divides an image (H, W, C) into about `count` superpixels of similar colour (SLIC)."""
    segmentation = package("skimage.segmentation", "of superpixels")
    filled = np.where(np.isfinite(pixels), pixels, filling(pixels)).astype(np.float64)
    low, high = filled.min(axis=(0, 1)), filled.max(axis=(0, 1))
    scaled = (filled - low) / np.maximum(high - low, 1e-9)
    found: Segments = segmentation.slic(
        scaled,
        n_segments=count,
        compactness=_COMPACTNESS,
        convert2lab=False,
        start_label=0,
        channel_axis=-1,
    )
    return found


def _scores(
    score: Score, pixels: Pixels, segments: Segments, kept: npt.NDArray[np.bool_]
) -> npt.NDArray[np.floating]:
    """Returns the scores (N,) of copies in which only the superpixels `kept` (N, S) are shown."""
    fill, found = filling(pixels), []
    for at in range(0, len(kept), COPIES):
        shown = kept[at : at + COPIES, segments][..., np.newaxis]
        found.append(score(np.where(shown, pixels, fill).astype(pixels.dtype)))
    return np.concatenate(found)


def lime(score: Score, pixels: Pixels, segments: Segments, samples: int) -> npt.NDArray[np.float64]:
    """Fits a linear model of the score to random sets of superpixels: weights as (H, W).

    Ribeiro et al. 2016, arXiv 1602.04938: samples closer to the whole image weigh more.
    """
    count = int(segments.max()) + 1
    kept = np.random.default_rng(_SEED).random((samples, count)) < 0.5
    kept[0] = True
    scores = _scores(score, pixels, segments, kept)
    distance = 1 - np.sqrt(kept.mean(axis=1))  # cosine distance to all superpixels
    near = np.exp(-((distance / _KERNEL) ** 2))
    design = np.column_stack([kept, np.ones(samples)]).astype(np.float64)
    weighted = design * near[:, np.newaxis]
    penalty = _PENALTY * near.sum() * np.diag([*np.ones(count), 0.0])
    solved: npt.NDArray[np.float64] = np.linalg.solve(
        design.T @ weighted + penalty, weighted.T @ scores
    )
    return solved[:-1][segments]


def kernel_shap(
    score: Score, pixels: Pixels, segments: Segments, samples: int
) -> npt.NDArray[np.float64]:
    """Returns the Shapley value of each pixel's superpixel, as KernelSHAP estimates it, (H, W).

    Lundberg and Lee 2017, arXiv 1705.07874. The values of all superpixels add up to the score
    minus that of the image with every superpixel hidden.
    """
    count = int(segments.max()) + 1

    def score_of(kept: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        return _scores(score, pixels, segments, kept > 0.5)

    shap = package("shap", "shap")
    explainer = shap.KernelExplainer(score_of, np.zeros((1, count)), seed=_SEED)
    values = explainer.shap_values(np.ones((1, count)), nsamples=samples, l1_reg=0, silent=True)
    of_segments: npt.NDArray[np.float64] = np.asarray(values, np.float64).reshape(count)
    return of_segments[segments]
