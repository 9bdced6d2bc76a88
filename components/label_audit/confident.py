"""Confident learning: which labels disagree with probabilities of a model that never saw them.

After Northcutt, Jiang and Chuang (2021, arXiv 1911.00068). The threshold of a class is the mean
probability that the model gives it where it is the label, so a class of which the model is rarely
sure needs less. An example is confidently of the most probable class that reaches its threshold.
The confident joint counts examples by given and by confident class.

Suspects are its off-diagonal, and examples without a confident class. Of these a row of the joint,
scaled to all examples of its label, estimates how many are of each other class; those that are
furthest ahead in it count.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

#: A mean of equal probabilities may be above them by rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Confident:
    """Result for N examples of K classes.

    Attributes:
        likely: [N], the class that an example may be of; the given one unless it is suspect.
        confidence: [N], probability of `likely`.
        suspicion: [N], how far `likely` is ahead of the given class, in probability: above 0 for
            the suspects and 0 for all others.
        joint: [K, K], examples by given and by confident class.
    """

    likely: Ints
    confidence: Floats
    suspicion: Floats
    joint: Ints

    @property
    def suspects(self) -> Ints:
        """Indexes of the suspects, the most suspicious first."""
        order = np.argsort(-self.suspicion, kind="stable")
        return order[self.suspicion[order] > 0]


def thresholds(given: Ints, probabilities: Floats) -> Floats:
    """Returns each class's threshold [K]; infinity for a class that no example is labelled with."""
    classes = probabilities.shape[1]
    counts = np.bincount(given, minlength=classes)
    own = probabilities[np.arange(len(given)), given]
    sums = np.bincount(given, weights=own, minlength=classes)
    return np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)


def confident_classes(given: Ints, probabilities: Floats) -> Confident:
    """Finds suspects among examples with one class each.

    Args:
        given: [N], the label's index; there is no example without one.
        probabilities: [N, K], out of fold.

    >>> given = np.array([0, 0, 0, 1, 1, 1])
    >>> of_1 = np.array([0.1, 0.2, 0.9, 0.8, 0.9, 0.7])
    >>> found = confident_classes(given, np.stack([1 - of_1, of_1], axis=1))
    >>> found.suspects.tolist(), found.joint.tolist()
    ([2], [[2, 1], [0, 2]])
    """
    rows = np.arange(len(given))
    confident = probabilities >= thresholds(given, probabilities) - _ROUNDING
    known = confident.any(axis=1)
    best = np.where(confident, probabilities, -1.0).argmax(axis=1)
    joint = np.zeros((probabilities.shape[1],) * 2, np.int64)
    np.add.at(joint, (given[known], best[known]), 1)
    ahead = probabilities - probabilities[rows, given][:, np.newaxis]
    suspect = _estimated(given, ahead, joint)
    suspect[rows[known], best[known]] = True
    suspicion = np.where(suspect, np.maximum(ahead, 0.0), 0.0)
    found = suspicion.argmax(axis=1)
    likely = np.where(suspicion[rows, found] > 0, found, given)
    return Confident(
        likely=likely,
        confidence=probabilities[rows, likely],
        suspicion=suspicion[rows, likely],
        joint=joint,
    )


def _estimated(given: Ints, ahead: Floats, joint: Ints) -> npt.NDArray[np.bool_]:
    """Marks [N, K] the examples of each label that are furthest ahead in each other class, as many
    as the joint estimates.
    """
    marked = np.zeros(ahead.shape, bool)
    for label in np.unique(given).tolist():
        of_label = np.flatnonzero(given == label)
        counted = max(int(joint[label].sum()), 1)
        for other in np.flatnonzero(joint[label]).tolist():
            if other != label:
                count = math.ceil(joint[label, other] / counted * len(of_label))
                order = np.argsort(-ahead[of_label, other], kind="stable")
                marked[of_label[order[:count]], other] = True
    return marked


def confident_presence(given: npt.NDArray[np.bool_], probabilities: Floats) -> Floats:
    """Finds suspects among examples with several classes, a class at a time.

    Args:
        given: [N, K], which classes an example is labelled with.
        probabilities: [N, K], of each class's presence, out of fold.

    Returns:
        [N, K]: the suspicion that the presence of a class is wrong; 0 where it is not suspect.
    """
    found = [
        confident_classes(
            given[:, at].astype(np.int64), np.stack([1 - column, column], axis=1)
        ).suspicion
        for at, column in enumerate(probabilities.T)
    ]
    return np.stack(found, axis=1) if found else np.zeros(given.shape)


def deviating_numbers(given: Floats, predicted: Floats, most: float = 3.5) -> Floats:
    """Returns the suspicion of each number [N]: how many robust deviations its error is beyond
    `most` of them, 0 within.

    The deviation is 1.4826 times the median distance of the errors from their median, which is the
    standard deviation of normal errors, and which a few wrong numbers hardly move. Where more than
    half of the errors are equal, so that this is 0, it is 1.2533 times the mean distance: as much
    for normal errors, but every wrong number raises it.
    """
    if not len(given):
        return np.zeros(0)
    errors = predicted - given
    distance = np.abs(errors - np.median(errors))
    deviation = 1.4826 * np.median(distance)
    if not deviation > 0:
        deviation = 1.2533 * np.mean(distance)
    if not deviation > 0:
        return np.zeros(len(given))
    return np.maximum(distance / deviation - most, 0.0)
