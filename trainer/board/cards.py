"""Cards: one example and its prediction as pictures with a line of text."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from components.raster.labels.targets import ignore_value
from components.raster.pictures.sheet import Card, with_boxes, with_mask
from components.raster.pictures.stretch import Picture, Stretch, picture_of, stretch_of
from components.raster.task import Task
from serving.contract.contract import Contract
from trainer.board.asking import Asked

#: Objects with a lower score are omitted from a picture.
_SHOWN_SCORE = 0.3


def cards_of(asked: Sequence[Asked], contract: Contract) -> list[Card]:
    """Draws one card an example, or two (truth left, answer right) if the task has pictures."""
    draw = _drawer(asked, contract)
    make = _CARDS[contract.task]
    return [card for each in asked for card in make(draw(each.pixels), each, contract)]


def per_example(contract: Contract) -> int:
    """Returns the number of cards of an example."""
    return 2 if contract.task in ("segmentation", "detection") else 1


def _drawer(asked: Sequence[Asked], contract: Contract) -> Callable[[Any], Picture]:
    """Returns a function from pixels to a picture, with one stretch for all."""
    if contract.image.bands is None:
        return lambda pixels: np.asarray(pixels, np.uint8)
    bands = (0, 1, 2) if len(contract.image.bands) >= 3 else (0,)
    known = [(each.pixels, np.isfinite(each.pixels).all(axis=-1)) for each in asked]
    stretch: Stretch = stretch_of(known, bands)
    return lambda pixels: picture_of(pixels, np.isfinite(pixels).all(-1), bands, stretch)


def _one_label(picture: Picture, asked: Asked, contract: Contract) -> list[Card]:
    true = contract.classes[asked.truth.labels[0]]
    probability = asked.answer["probabilities"].max()
    found = bytes(asked.answer["class"]).decode()
    right = found == true
    text = f"{found} {probability:.2f}" if right else f"{true}: {found} {probability:.2f}"
    return [Card(picture, text, alarm=not right)]


def _labels(picture: Picture, asked: Asked, contract: Contract) -> list[Card]:
    found = set(np.flatnonzero(asked.answer["present"]).tolist())
    true = set(asked.truth.labels)
    marks = [*((index, "") for index in found & true), *((index, "-") for index in true - found)]
    marks += [(index, "+") for index in found - true]
    text = " ".join(mark + contract.classes[index] for index, mark in sorted(marks))
    return [Card(picture, text or "(none)", alarm=found != true)]


def _number(picture: Picture, asked: Asked, contract: Contract) -> list[Card]:
    return [Card(picture, f"{asked.truth.number:.4g}: {float(asked.answer['value']):.4g}")]


def _mask(picture: Picture, asked: Asked, contract: Contract) -> list[Card]:
    ignore = ignore_value(len(contract.classes))
    raster, mask = asked.answer["class_raster"], asked.truth.mask
    assert mask is not None
    told = (mask != ignore) & (raster != ignore)
    share = (raster == mask)[told].mean() if told.any() else 0.0
    text = f"answer: {share:.0%} right" if told.any() else "answer: no truth to compare with"
    return [
        Card(with_mask(picture, mask, ignore), "truth"),
        Card(with_mask(picture, raster, ignore), text),
    ]


def _boxes(picture: Picture, asked: Asked, contract: Contract) -> list[Card]:
    edges = asked.truth.edges_px
    assert edges is not None
    shown = asked.answer["box_scores"] >= _SHOWN_SCORE
    labels = asked.answer["box_labels"][shown].tolist()
    return [
        Card(with_boxes(picture, edges, asked.truth.labels), f"truth: {len(edges)}"),
        Card(with_boxes(picture, asked.answer["boxes"][shown], labels), f"found: {len(labels)}"),
    ]


_CARDS: dict[Task, Callable[[Picture, Asked, Contract], list[Card]]] = {
    "single_label": _one_label,
    "multi_label": _labels,
    "regression": _number,
    "segmentation": _mask,
    "detection": _boxes,
}
