"""Suspects among boxes: objects that are missing, spurious, or of another class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from components.raster.box_overlap import box_ious

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

#: Overlap from which two boxes show one object, and below which they are unrelated.
_SAME, _APART = 0.5, 0.1


@dataclass(frozen=True, eq=False)
class Objects:
    """Boxes of one image: those of its label, and those that the model found.

    Attributes:
        given: [M, 4], top, left, bottom, right; `given_classes` [M].
        found: [N, 4]; `found_classes` [N]; `scores` [N].
    """

    given: Floats
    given_classes: Ints
    found: Floats
    found_classes: Ints
    scores: Floats


@dataclass(frozen=True)
class SuspectObject:
    """One object whose label may be wrong.

    Attributes:
        kind: `missing` is not labelled, `spurious` is labelled where there is none, `class` has
            another class.
        given, likely: classes; None for a missing or a spurious one.
        confidence: score of the found object; of a spurious one, 1 minus the best score there.
        box: top, left, bottom, right.
    """

    image: int
    kind: Literal["missing", "spurious", "class"]
    given: int | None
    likely: int | None
    confidence: float
    box: tuple[float, float, float, float]


def suspect_objects(images: Sequence[Objects], classes: int) -> list[SuspectObject]:
    """Finds objects whose labels may be wrong, the most confident first.

    A found object counts if its score reaches the mean score of found objects of its class that
    agree with a label. A class of which the model finds no labelled object gives no suspects, since
    nothing is known of its scores.
    """
    least = _thresholds(images, classes)
    found = [each for at, image in enumerate(images) for each in _suspects(at, image, least)]
    return sorted(found, key=lambda it: (-it.confidence, it.image, it.box))


def _thresholds(images: Sequence[Objects], classes: int) -> Floats:
    sums, counts = np.zeros(classes), np.zeros(classes)
    for image in images:
        same = box_ious(image.given, image.found) >= _SAME
        agree = same & (image.given_classes[:, None] == image.found_classes)
        right = agree.any(axis=0)
        np.add.at(sums, image.found_classes[right], image.scores[right])
        np.add.at(counts, image.found_classes[right], 1)
    return np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)


def _suspects(at: int, image: Objects, least: Floats) -> list[SuspectObject]:
    shared = box_ious(image.given, image.found)
    same = shared >= _SAME
    agree = same & (image.given_classes[:, None] == image.found_classes)
    suspects = []
    for place in np.flatnonzero(image.scores >= least[image.found_classes]).tolist():
        likely, score = int(image.found_classes[place]), float(image.scores[place])
        if agree[:, place].any():
            continue
        others = np.flatnonzero(same[:, place] & ~agree.any(axis=1))
        if others.size:
            best = int(others[shared[others, place].argmax()])
            given, box = int(image.given_classes[best]), image.given[best]
            suspects.append(SuspectObject(at, "class", given, likely, score, _box(box)))
        elif not same[:, place].any():
            box = image.found[place]
            suspects.append(SuspectObject(at, "missing", None, likely, score, _box(box)))
    for place, given in enumerate(image.given_classes.tolist()):
        near = shared[place] >= _APART
        if np.isfinite(least[given]) and not (near & (image.scores >= _APART)).any():
            doubt = 1 - float(image.scores[near].max(initial=0.0))
            box = _box(image.given[place])
            suspects.append(SuspectObject(at, "spurious", given, None, doubt, box))
    return suspects


def _box(edges: Floats) -> tuple[float, float, float, float]:
    top, left, bottom, right = edges.tolist()
    return top, left, bottom, right
