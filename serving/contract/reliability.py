"""Reliability of an answer: unknown imagery, conformal sets and intervals, ensembles.

The constants are fitted after the training and become part of the served graph.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from components.raster.frozen import Frozen

Numbers: TypeAlias = npt.NDArray[np.floating]


class Conformal(Frozen):
    """Split conformal prediction, fitted on the eval split.

    Attributes:
        level: share of new images whose set or interval holds the truth, on average.
        bound: classes of a probability of at least 1 - bound are in the set; an interval reaches
            so far from the number. None: the split is too small for the level, and every set
            holds all.
        examples: of the eval split.
        groups: of the examples, where they are grouped: the level then holds for images of a new
            group. None: by example.
    """

    level: float = Field(gt=0, lt=1)
    bound: float | None
    examples: int
    groups: int | None = None


class Ensemble(Frozen):
    """Members whose mean is the answer, and the measure of their disagreement.

    Attributes:
        members: their number.
        disagreement: mutual_information: of class and member, in nats; of several classes or of
            pixels its mean. standard_deviation: of the members' numbers.
    """

    members: int = Field(ge=2)
    disagreement: Literal["mutual_information", "standard_deviation"]


@dataclass(frozen=True, eq=False)
class UnknownScore:
    """Mahalanobis distance of an embedding from what the model has learnt.

    The score is the larger of two distances, each in units of its spread over the eval split: that
    from the nearest class (Lee et al. 2018, arXiv 1807.03888), which tells imagery of another kind;
    and the same less that from all examples (Ren et al. 2021, arXiv 2106.09022), which tells
    images between the classes.

    Attributes:
        centre: [D], subtracted from an embedding.
        projection: [D, R]: then the covariance within the classes is the identity.
        means: [K, R] of the classes; one where examples have no single class.
        background: [R, R]: then the covariance of all examples is the identity.
        typical: medians of the distances.
        spread: their spreads.
        quantiles: of the scores of the eval split, in rising order.
    """

    centre: Numbers
    projection: Numbers
    means: Numbers
    background: Numbers
    typical: Numbers
    spread: Numbers
    quantiles: Numbers

    def distances(self, embedding: Numbers) -> Numbers:
        """Returns both distances [N, 2] of embeddings [N, D]; with one class, the first [N, 1]."""
        projected = (embedding - self.centre) @ self.projection
        from_all = ((projected @ self.background) ** 2).sum(axis=1)
        nearest = ((projected[:, np.newaxis] - self.means) ** 2).sum(axis=2).min(axis=1)
        both = np.stack([nearest, nearest - from_all], axis=1)
        return both if len(self.means) > 1 else both[:, :1]

    def scores(self, embedding: Numbers) -> Numbers:
        """Returns the scores [N] of embeddings [N, D]: the higher, the less is known."""
        scores: Numbers = ((self.distances(embedding) - self.typical) / self.spread).max(axis=1)
        return scores
