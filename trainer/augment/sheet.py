"""A contact sheet of training images: examples, each beside some of its random views."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from components.raster.pictures.sheet import Card, contact_sheet, legend_of, with_boxes, with_mask
from components.raster.pictures.stretch import Picture, Stretch, picture_of, stretch_of
from trainer.augment.augmentation import Augmentation

#: A batch as `trainer.augment.batch.Batch`, in numpy.
Arrays = Mapping[str, npt.NDArray[Any]]

_NAMES_SHOWN = 2


def augmented_sheet(
    batch: Arrays,
    augmentation: Augmentation,
    classes: Sequence[str],
    *,
    views: int = 5,
    seed: int = 0,
    shown: Sequence[int] = (0, 1, 2),
    side_px: int = 128,
) -> Image.Image:
    """Draws a row for each example: the original, then its views, with labels, masks and boxes.

    Args:
        batch: N examples; targets [N, K] are soft labels, [N] or [N, 1] numbers.
        augmentation: the layer that makes the views.
        classes: names of the K classes.
        views: number of views of each example.
        seed: seed of the first view; the others follow it.
        shown: indices of one band or three.
        side_px: side of each picture.
    """
    tensors = {name: tf.constant(values) for name, values in batch.items()}
    sheets: list[Arrays] = [batch]
    for view in range(views):
        seen = augmentation(tensors, seed=tf.constant([seed, view]))
        sheets.append({name: values.numpy() for name, values in seen.items()})
    known = [(image, np.isfinite(image).all(axis=-1)) for image in batch["images"]]
    stretch = None if batch["images"].dtype == np.uint8 else stretch_of(known, tuple(shown))
    cards = [
        _card({name: values[row] for name, values in each.items()}, augmentation, classes, draw)
        for draw in [_Drawer(tuple(shown), stretch)]
        for row in range(len(batch["images"]))
        for each in sheets
    ]
    legend = legend_of(classes) if {"masks", "boxes"} & batch.keys() else ()
    return contact_sheet(cards, columns=views + 1, side_px=side_px, legend=legend)


class _Drawer:
    """Drawing of pixels as pictures, with the same stretch for all."""

    def __init__(self, shown: tuple[int, ...], stretch: Stretch | None) -> None:
        self._shown, self._stretch = shown, stretch

    def __call__(self, image: npt.NDArray[Any]) -> Picture:
        if self._stretch is None:
            return np.asarray(image, np.uint8)
        # A band that is missing alone is black, so that the others stay visible.
        known = np.isfinite(image[..., list(self._shown)]).any(axis=-1)
        return picture_of(image, known, self._shown, self._stretch)


def _card(one: Arrays, augmentation: Augmentation, classes: Sequence[str], draw: _Drawer) -> Card:
    picture = draw(one["images"])
    if "masks" in one:
        picture = with_mask(picture, one["masks"], augmentation.ignore)
    if "boxes" in one:
        there = one["classes"] >= 0
        picture = with_boxes(picture, one["boxes"][there], one["classes"][there].tolist())
    return Card(picture, _text(one, classes))


def _text(one: Arrays, classes: Sequence[str]) -> str:
    if "boxes" in one:
        return f"{int((one['classes'] >= 0).sum())} objects"
    if "targets" not in one:
        return ""
    targets = np.atleast_1d(one["targets"])
    if len(targets) != len(classes):
        return f"{float(targets[0]):.4g}"
    largest = np.argsort(-targets, kind="stable")[:_NAMES_SHOWN]
    shares = [(classes[index], float(targets[index])) for index in largest if targets[index] > 0]
    return ", ".join(name if share > 0.995 else f"{name} {share:.2f}" for name, share in shares)
