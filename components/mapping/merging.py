"""Merging of objects that overlapping tiles found more than once.

Two boxes of different tiles are one object if they agree in the area that both tiles saw: each box
is clipped to this area, and the clipped boxes are compared. So a tile that saw only a part of an
object is compared by that part, and small neighbours do not vanish in large ones. Boxes of the same
tile are never compared: the model has done that.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

Edges = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.int64]

#: Least overlap (intersection over union) of two boxes of one object, in the area of both tiles.
LEAST_IOU = 0.5
#: Largest distance from its tile's edge at which an edge counts as cut.
CUT_PX = 2.0


@dataclass(frozen=True, eq=False)
class DetectedObjects:
    """Objects as tiles found them.

    Attributes:
        boxes: (N, 4): top, left, bottom, right in pixels of the scene.
        classes: (N,) indices.
        scores: (N,).
        tiles: (N, 4): the window of each object's tile, in the form of `boxes`.
    """

    boxes: Edges
    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    tiles: Edges

    def __len__(self) -> int:
        return len(self.boxes)

    def at(self, places: npt.NDArray[np.generic]) -> "DetectedObjects":
        """Returns the objects at the given indices."""
        return DetectedObjects(
            self.boxes[places], self.classes[places], self.scores[places], self.tiles[places]
        )


def merge(found: DetectedObjects, height_px: int, width_px: int) -> DetectedObjects:
    """Returns each object once, by falling score.

    Of the boxes of one object, the best that is whole in its tile is kept. An object that is whole
    in no tile becomes the box around its parts, with their best score.

    Args:
        found: objects of all tiles.
        height_px: of the scene; an object that ends at its edge is not cut.
        width_px: of the scene.
    """
    if not len(found):
        return found
    cut = is_cut(found, height_px, width_px)
    pairs = _same_object(found)
    of_whole = ~cut[pairs].any(axis=1)
    kept = _best(found.scores, pairs[of_whole]) & ~cut
    mixed = pairs[cut[pairs].sum(axis=1) == 1]
    covered = np.zeros(len(found), np.bool_)
    covered[mixed[cut[mixed]]] = True
    parts = cut & ~covered
    groups = _groups(len(found), pairs[parts[pairs].all(axis=1)])
    joined = _joined(found, np.flatnonzero(parts), groups)
    whole = found.at(np.flatnonzero(kept))
    together = DetectedObjects(
        *(
            np.concatenate([getattr(whole, name), getattr(joined, name)])
            for name in ("boxes", "classes", "scores", "tiles")
        )
    )
    boxes = together.boxes
    # Ties are broken by position, so the order of tiles has no effect.
    order = np.lexsort((boxes[:, 1], boxes[:, 0], together.classes, -together.scores))
    return together.at(order)


def is_cut(found: DetectedObjects, height_px: int, width_px: int) -> npt.NDArray[np.bool_]:
    """Marks boxes that end at their tile's edge where the scene continues, (N,)."""
    boxes, tiles = found.boxes, found.tiles
    near = np.abs(boxes - tiles) <= CUT_PX
    near[:, :2] &= tiles[:, :2] > 0
    near[:, 2:] &= tiles[:, 2:] < (height_px, width_px)
    return np.asarray(near.any(axis=1), np.bool_)


def _same_object(found: DetectedObjects) -> Pairs:
    """Returns pairs (P, 2) of boxes that are one object, the lower index first."""
    boxes = found.boxes
    tree = shapely.STRtree(shapely.box(boxes[:, 1], boxes[:, 0], boxes[:, 3], boxes[:, 2]))
    pairs = tree.query(tree.geometries, predicate=None).T
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    one, other = pairs.T
    possible = (found.classes[one] == found.classes[other]) & (
        found.tiles[one] != found.tiles[other]
    ).any(axis=1)
    pairs = pairs[possible]
    one, other = pairs.T
    shared = _intersection(found.tiles[one], found.tiles[other])
    first, second = _intersection(boxes[one], shared), _intersection(boxes[other], shared)
    both = _area(_intersection(first, second))
    either = _area(first) + _area(second) - both
    return np.asarray(pairs[both >= LEAST_IOU * np.maximum(either, 1e-9)], np.int64)


def _intersection(one: Edges, other: Edges) -> Edges:
    return np.concatenate(
        [np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])], axis=1
    )


def _area(boxes: Edges) -> npt.NDArray[np.float64]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def _best(scores: npt.NDArray[np.float64], pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Marks boxes to keep: from the best score down, unless a kept one is the same object.

    Each round decides all boxes whose better neighbours are decided, so a few rounds suffice.
    """
    rank = np.empty(len(scores), np.int64)
    rank[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    better = np.where(rank[pairs[:, :1]] < rank[pairs[:, 1:]], pairs, pairs[:, ::-1])
    kept, dropped = np.zeros(len(scores), np.bool_), np.zeros(len(scores), np.bool_)
    open_ones = np.ones(len(scores), np.bool_)
    while open_ones.any():
        waits = np.zeros(len(scores), np.bool_)
        waits[better[open_ones[better[:, 0]], 1]] = True
        decided = open_ones & ~waits
        kept |= decided
        dropped[better[decided[better[:, 0]], 1]] = True
        open_ones &= ~decided & ~dropped
        better = better[open_ones[better].all(axis=1)]
    return kept


def _groups(count: int, pairs: Pairs) -> npt.NDArray[np.int64]:
    """Returns the least member of each box's group of connected pairs, (count,)."""
    found = np.arange(count)
    while True:
        least = np.minimum(found[pairs[:, 0]], found[pairs[:, 1]])
        before = found.copy()
        for side in (0, 1):
            np.minimum.at(found, pairs[:, side], least)
        if np.array_equal(before, found):
            return found


def _joined(
    found: DetectedObjects, places: npt.NDArray[np.int64], groups: npt.NDArray[np.int64]
) -> DetectedObjects:
    """Returns the box around each group of parts, with the best score."""
    if not len(places):
        return found.at(places)
    leaders, member = np.unique(groups[places], return_inverse=True)
    boxes = np.tile([np.inf, np.inf, -np.inf, -np.inf], (len(leaders), 1))
    np.minimum.at(boxes[:, :2], member, found.boxes[places, :2])
    np.maximum.at(boxes[:, 2:], member, found.boxes[places, 2:])
    scores = np.zeros(len(leaders))
    np.maximum.at(scores, member, found.scores[places])
    return DetectedObjects(boxes, found.classes[leaders], scores, found.tiles[leaders])
