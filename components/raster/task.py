"""Kinds of task, from ingest's truth to the served outputs."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, get_args

#: One class per image; several or none; a number; a class for each pixel; boxes with classes.
Task = Literal["single_label", "multi_label", "regression", "segmentation", "detection"]

TASKS: tuple[Task, ...] = get_args(Task)
SINGLE_LABEL: Task = "single_label"
#: Tasks that distinguish classes: with only one class there is nothing to learn.
ONE_OF_SEVERAL: tuple[Task, ...] = ("single_label", "segmentation")
#: Tasks whose examples and answers have no classes.
WITHOUT_CLASSES: tuple[Task, ...] = ("regression",)
#: Names of the tasks in STAC's machine learning model extension.
MLM_TASKS: Mapping[Task, str] = {
    "single_label": "scene-classification",
    "multi_label": "scene-classification",
    "regression": "regression",
    "segmentation": "semantic-segmentation",
    "detection": "object-detection",
}


def part_of_task(package: str, task: Task, part: str) -> Any:
    """Imports a layer's part of a task: each layer has a module or folder named like the task.

    Args:
        package: the layer's folder of tasks, such as `trainer.tasks`.
        part: the wanted attribute, after the module's path below the folder of the task, if any.
    """
    path, _, name = f"{task}.{part}".rpartition(".")
    return getattr(import_module(f"{package}.{path}"), name)
