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
        level: average share of new images whose set or interval contains the truth.
        bound: classes with a probability of at least 1 - bound are in the set; an interval extends
            by `bound` to either side of the number. None: the split is too small for the level,
            and every set contains all classes.
        examples: number of examples of the eval split.
        groups: number of groups, if the examples have them: the level then applies to images of a
            new group. None: by example.
    """

    level: float = Field(gt=0, lt=1)
    bound: float | None
    examples: int
    groups: int | None = None


class Ensemble(Frozen):
    """Members whose mean is the answer, and the measure of their disagreement.

    Attributes:
        members: their number.
        disagreement: mutual_information: of class and member, in nats, averaged over classes or
            pixels. standard_deviation: of the members' numbers.
    """

    members: int = Field(ge=2)
    disagreement: Literal["mutual_information", "standard_deviation"]


@dataclass(frozen=True, eq=False)
class UnknownScore:
    """Mahalanobis distance of an embedding from the training examples.

    The score is the larger of two distances, each in units of its spread over the eval split: that
    from the nearest class (Lee et al. 2018, arXiv 1807.03888), which detects imagery of another
    kind; and that distance minus the one from all examples (Ren et al. 2021, arXiv 2106.09022),
    which detects images between the classes.

    Attributes:
        centre: [D], subtracted from an embedding.
        projection: [D, R], after which the covariance within the classes is the identity.
        means: [K, R] of the classes; K is 1 if examples have no single class.
        background: [R, R], after which the covariance of all examples is the identity.
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
        """Returns the scores [N] of embeddings [N, D]: higher ones are less like the training's."""
        scores: Numbers = ((self.distances(embedding) - self.typical) / self.spread).max(axis=1)
        return scores
