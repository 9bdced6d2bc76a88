"""COCO's mean average precision, by its own program."""

from collections.abc import Sequence

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Edges = Sequence[float]


def average_precision(
    truths: Sequence[Sequence[tuple[int, Edges]]],
    answers: Sequence[Sequence[tuple[int, Edges, float]]],
) -> float:
    """Computes mean average precision at an intersection over union of 0.5.

    Args:
        truths: the objects of each image: class, and top, left, bottom and right.
        answers: the detections of each image, with scores.
    """
    known = [
        {"id": 0, "image_id": image, "category_id": label, "iscrowd": 0} | _box(edges)
        for image, objects in enumerate(truths)
        for label, edges in objects
    ]
    known = [it | {"id": place + 1} for place, it in enumerate(known)]
    found = [
        {"image_id": image, "category_id": label, "score": score} | _box(edges)
        for image, objects in enumerate(answers)
        for label, edges, score in objects
    ]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in range(len(truths))],
        "annotations": known,
        "categories": [{"id": label} for label in sorted({it["category_id"] for it in known})],
        "info": {},
    }
    coco.createIndex()
    judge = COCOeval(coco, coco.loadRes(found), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return float(judge.stats[1])


def _box(edges: Edges) -> dict:
    top, left, bottom, right = map(float, edges)
    return {
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top),
    }
