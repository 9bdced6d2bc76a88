"""Kinds of task, from ingest's truth to the served outputs."""

from typing import Literal, get_args

#: One class an image; several or none; a number; a class for each pixel; boxes with classes.
Task = Literal["single_label", "multi_label", "regression", "segmentation", "detection"]

TASKS: tuple[Task, ...] = get_args(Task)
SINGLE_LABEL: Task = "single_label"
#: Tasks that distinguish classes: with only one class there is nothing to learn.
ONE_OF_SEVERAL: tuple[Task, ...] = ("single_label", "segmentation")
