"""Merging of objects that overlapping tiles found more than once, compared with SAHI's.

Objects are boxes that tiles of a synthetic scene see, cut at their edges and a little off; the true
ones are known. SAHI's functions take part where it can be imported:

    pip install --no-deps --target /tmp/sahi sahi
    PYTHONPATH=$PWD:/tmp/sahi python -m benchmarks map_objects [--boxes 100000] [--turns 3]
"""

import argparse
import importlib.util
import json
from collections.abc import Callable
from functools import partial

import numpy as np
import shapely

from benchmarks.sides import Cost, cost_of
from components.mapping.merging import DetectedObjects, merge
from components.mapping.weights import tile_starts

TILE_PX = 256
#: Pitch of the objects, not a divisor of a tile's stride, so that tiles cut objects everywhere.
_PITCH_PX = 31


def sahi_sides(found: DetectedObjects) -> dict[str, Callable[[], np.ndarray]]:
    """Returns SAHI's ways to merge boxes; none where it cannot be imported."""
    if importlib.util.find_spec("sahi") is None:
        return {}
    from sahi.postprocess.combine import greedy_nmm, nms

    top, left, bottom, right = found.boxes.T
    given = np.stack([left, top, right, bottom, found.scores, found.classes], axis=1)

    def suppressed(metric: str) -> np.ndarray:
        return found.boxes[np.asarray(nms(given.astype(np.float32), metric, 0.5))]

    def joined() -> np.ndarray:
        groups = greedy_nmm(given.astype(np.float32), "IOS", 0.5)
        both = [np.array([best, *others]) for best, others in groups.items()]
        boxes = found.boxes
        return np.array([[*boxes[it, :2].min(axis=0), *boxes[it, 2:].max(axis=0)] for it in both])

    return {
        "SAHI's NMS by IoU": partial(suppressed, "IOU"),
        "SAHI's NMS by IoS": partial(suppressed, "IOS"),
        "SAHI's greedy NMM": joined,
    }


def made_boxes(count: int, seed: int = 0) -> tuple[DetectedObjects, np.ndarray, int]:
    """Returns about `count` boxes of overlapping tiles, the true objects, and the scene's side."""
    random = np.random.default_rng(seed)
    per_side = round((count / 1.78) ** 0.5)
    side = per_side * _PITCH_PX
    rows, cols = (it.ravel() for it in np.mgrid[:per_side, :per_side] * _PITCH_PX)
    sizes = random.integers(8, 29, (2, len(rows)))
    tops = rows + random.integers(0, _PITCH_PX - sizes[0])
    lefts = cols + random.integers(0, _PITCH_PX - sizes[1])
    true = np.stack([tops, lefts, tops + sizes[0], lefts + sizes[1]], axis=1).astype(float)
    tree = shapely.STRtree(shapely.box(true[:, 1], true[:, 0], true[:, 3], true[:, 2]))
    starts = tile_starts(side, TILE_PX, TILE_PX * 3 // 4)
    boxes, tiles = [], []
    for top in starts:
        for left in starts:
            window = np.array([top, left, top + TILE_PX, left + TILE_PX], float)
            near = np.sort(tree.query(shapely.box(left, top, left + TILE_PX, top + TILE_PX)))
            cut = np.concatenate(
                [np.maximum(true[near, :2], window[:2]), np.minimum(true[near, 2:], window[2:])],
                axis=1,
            )
            share = np.prod(np.maximum(cut[:, 2:] - cut[:, :2], 0), axis=1) / np.prod(
                true[near, 2:] - true[near, :2], axis=1
            )
            seen = cut[share >= 0.25]
            off = seen + random.normal(0, 0.5, seen.shape)
            boxes.append(np.clip(off, np.tile(window[:2], 2), np.tile(window[2:], 2)))
            tiles.append(np.tile(window, (len(seen), 1)))
    together = np.concatenate(boxes)
    scores = random.uniform(0.3, 1, len(together))
    classes = np.zeros(len(together), np.int64)
    return DetectedObjects(together, classes, scores, np.concatenate(tiles)), true, side


def faults(merged: np.ndarray, true: np.ndarray) -> tuple[int, int]:
    """Returns (duplicates, losses): boxes beyond one for an object, and objects without a box."""
    tree = shapely.STRtree(shapely.box(true[:, 1], true[:, 0], true[:, 3], true[:, 2]))
    rows, cols = (merged[:, 0] + merged[:, 2]) / 2, (merged[:, 1] + merged[:, 3]) / 2
    at, found = tree.query(shapely.points(cols, rows), predicate="intersects")
    hits = np.bincount(found, minlength=len(true))
    stray = len(merged) - len(np.unique(at))
    return int(np.maximum(hits - 1, 0).sum()) + stray, int((hits == 0).sum())


def merging(count: int, turns: int) -> dict[str, object]:
    """Measures each way of merging: boxes a second of processor time, duplicates and losses."""
    found, true, side = made_boxes(count)
    print(f"{len(found):,} boxes of {len(true):,} objects")
    ways = {"skymill": lambda: merge(found, side, side).boxes, **sahi_sides(found)}
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    merged: dict[str, np.ndarray] = {}
    for _ in range(turns):
        for name, way in ways.items():
            costs[name].append(cost_of(partial(_keep, merged, name, way)))
    figures = {}
    for name, boxes in merged.items():
        rate = len(found) / min(cost.cpu for cost in costs[name])
        duplicates, losses = faults(boxes, true)
        share = (duplicates + losses) / len(true)
        print(
            f"{name}: {rate:,.0f} boxes a CPU second, {duplicates} duplicates, {losses} losses "
            f"({share:.2%} of the objects)"
        )
        figures[name] = {"boxes_per_cpu_s": rate, "duplicates": duplicates, "losses": losses}
    return {"boxes": len(found), "objects": len(true), "merging": figures}


def _keep(merged: dict[str, np.ndarray], name: str, way: Callable[[], np.ndarray]) -> None:
    merged[name] = way()


def main() -> None:
    """Prints the figures as lines, and all of them as JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    print(json.dumps(merging(arguments.boxes, arguments.turns)))
