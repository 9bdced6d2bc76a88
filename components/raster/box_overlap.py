"""Overlap of boxes."""

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.floating]


def box_ious(some: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """Computes intersection over union [N, M] of boxes (N, 4), (M, 4): top, left, bottom, right.

    >>> box_ious(np.array([[0, 0, 2, 2]]), np.array([[0, 0, 2, 2], [0, 1, 2, 3]])).round(2).tolist()
    [[1.0, 0.33]]
    """
    some, others = some.reshape(-1, 1, 4), others.reshape(1, -1, 4)
    sides = np.minimum(some[..., 2:], others[..., 2:]) - np.maximum(some[..., :2], others[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(np.maximum(it[..., 2:] - it[..., :2], 0), axis=-1) for it in (some, others)]
    union = areas[0] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros(union.shape), where=union > 0)
