"""Confident learning: labels that disagree with a model that was not trained on them.

After Northcutt, Jiang and Chuang (2021, arXiv 1911.00068). The threshold of a class is the mean
probability that the model gives it on examples with that label, so a class of which the model is
rarely sure has a lower one. The confident class of an example is the most probable one that reaches
its threshold. The confident joint counts examples by given and by confident class.

Suspects are the examples off its diagonal, and some without a confident class: each row of the
joint, scaled to all examples with its label, estimates how many belong to each other class, and
those with the largest margin for that class are taken.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

#: Tolerance: rounding may put the mean of equal probabilities above them.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Confident:
    """Result for N examples of K classes.

    Attributes:
        likely: [N], the likely class of each example; the given one unless it is suspect.
        confidence: [N], probability of `likely`.
        suspicion: [N], probability of `likely` minus that of the given class: above 0 for suspects,
            0 for all others.
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
    """Returns each class's threshold [K]; infinity for a class that labels no example."""
    classes = probabilities.shape[1]
    counts = np.bincount(given, minlength=classes)
    own = probabilities[np.arange(len(given)), given]
    sums = np.bincount(given, weights=own, minlength=classes)
    return np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)


def confident_classes(given: Ints, probabilities: Floats) -> Confident:
    """Finds suspects among examples with one class each.

    Args:
        given: [N], index of each label; every example has one.
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
    """Marks [N, K], for each label and each other class, the examples with the largest margin: as
    many as the joint estimates.
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
        [N, K]: suspicion that the label on a class's presence is wrong; 0 if it is not suspect.
    """
    found = [
        confident_classes(
            given[:, at].astype(np.int64), np.stack([1 - column, column], axis=1)
        ).suspicion
        for at, column in enumerate(probabilities.T)
    ]
    return np.stack(found, axis=1) if found else np.zeros(given.shape)


def deviating_numbers(given: Floats, predicted: Floats, most: float = 3.5) -> Floats:
    """Returns the suspicion of each number [N]: its error in robust deviations beyond `most` of
    them, or 0.

    The deviation is 1.4826 times the median distance of the errors from their median, which equals
    the standard deviation of normal errors and which a few wrong numbers hardly change. If this is
    0, because more than half of the errors are equal, it is 1.2533 times the mean distance: the
    same for normal errors, but every wrong number raises it.
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
