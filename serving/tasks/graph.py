"""Served outputs by task."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from components.raster.task import Task
from serving.contract.contract import Contract
from serving.tasks.detection.graph import detection
from serving.tasks.parts import Answer
from serving.tasks.regression.graph import regression
from serving.tasks.segmentation.graph import segmentation
from serving.tasks.single_label.graph import multi_label, single_label

_ANSWERS: dict[Task, Callable[[Any, tf.Tensor, Contract], Answer]] = {
    "single_label": lambda outputs, pixels, contract: single_label(outputs, contract.classes),
    "multi_label": lambda outputs, pixels, contract: multi_label(
        outputs, contract.classes, contract.threshold
    ),
    "regression": lambda outputs, pixels, contract: regression(outputs),
    "segmentation": lambda outputs, pixels, contract: segmentation(
        outputs, pixels, contract.classes
    ),
    "detection": lambda outputs, pixels, contract: detection(outputs, contract.classes),
}


def answer(outputs: Any, pixels: tf.Tensor, contract: Contract) -> Answer:
    """Converts a model's outputs for pixels [N, H, W, C] to the outputs of the contract's task."""
    return _ANSWERS[contract.task](outputs, pixels, contract)
