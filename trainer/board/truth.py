"""The truth of examples on the model's own grid, to compare predictions with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.example import (
    BOX_EDGES,
    HEIGHT,
    LABEL,
    LABELS,
    MASK_ENCODED,
    NUMBER,
    OBJECT_LABEL,
    WIDTH,
)
from components.raster.fitting import LEAST_BOX_SHARE, fit_boxes, fit_mask
from components.raster.labels.targets import ignore_value
from components.raster.task import Task
from serving.contract.contract import Contract

Features = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Truth:
    """Truth of one example; only the attributes of its task are set.

    Attributes:
        labels: indices of its classes.
        number: the number to predict.
        mask: [H, W] of class indices and the ignore value.
        edges_px: [M, 4], boxes of objects in pixels of the model's image; `labels` has their
            classes.
    """

    labels: tuple[int, ...] = ()
    number: float | None = None
    mask: npt.NDArray[np.integer] | None = None
    edges_px: npt.NDArray[np.float32] | None = None


def read_truths(serialized: Sequence[bytes], contract: Contract) -> Iterator[Truth]:
    """Yields the truth of each serialized example."""
    reader = _READERS[contract.task]
    for one in serialized:
        yield reader(tf.train.Example.FromString(one).features.feature, contract)


def _one_label(features: Features, contract: Contract) -> Truth:
    return Truth(labels=tuple(features[LABEL].int64_list.value))


def _labels(features: Features, contract: Contract) -> Truth:
    return Truth(labels=tuple(features[LABELS].int64_list.value))


def _number(features: Features, contract: Contract) -> Truth:
    return Truth(number=features[NUMBER].float_list.value[0])


def _mask(features: Features, contract: Contract) -> Truth:
    encoded = features[MASK_ENCODED].bytes_list.value[0]
    ignore = ignore_value(len(contract.classes))
    wide = tf.uint8 if ignore <= np.iinfo(np.uint8).max else tf.uint16
    mask = tf.io.decode_png(encoded, channels=1, dtype=wide).numpy()[..., 0]
    return Truth(mask=fit_mask(mask, contract.image, ignore))


def _boxes(features: Features, contract: Contract) -> Truth:
    columns = [features[name].float_list.value for name in BOX_EDGES]
    edges = np.array(columns, np.float32).T.reshape(-1, 4)
    labels = np.array(features[OBJECT_LABEL].int64_list.value, np.int64)
    size = (features[HEIGHT].int64_list.value[0], features[WIDTH].int64_list.value[0])
    fitted, share = fit_boxes(edges, size, contract.image)
    kept = share >= LEAST_BOX_SHARE
    return Truth(labels=tuple(labels[kept].tolist()), edges_px=fitted[kept])


_READERS: dict[Task, Callable[[Features, Contract], Truth]] = {
    "single_label": _one_label,
    "multi_label": _labels,
    "regression": _number,
    "segmentation": _mask,
    "detection": _boxes,
}
