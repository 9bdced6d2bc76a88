"""Conversion of a model's outputs to the served outputs, as a graph: the interface of a task."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, TypeAlias

import tensorflow as tf

from components.raster.task import Task, part_of_task

#: Tensors of N rows by output name.
Tensors: TypeAlias = dict[str, tf.Tensor]


class AnswerSpec(Protocol):
    """Part of a model's contract from which its served outputs follow."""

    @property
    def task(self) -> Task: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def threshold(self) -> float: ...


class TaskGraph(ABC):
    """Conversion of a model's outputs to those that its signatures return.

    Attributes:
        has_planes: whether there is a compact form for maps of whole scenes.
    """

    has_planes: ClassVar[bool] = False

    @abstractmethod
    def answer(self, outputs: Any, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts outputs for pixels [N, H, W, C] to the outputs of the task."""

    def for_maps(self, outputs: Any, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts the same to what a map of a whole scene is made of; by default the answer."""
        return self.answer(outputs, pixels, spec)

    def planes(self, outputs: Any) -> Tensors:
        """Converts outputs to the compact form; empty where there is none."""
        return {}


def task_graph(task: Task) -> TaskGraph:
    """Returns the conversion of a task."""
    found: TaskGraph = part_of_task(__package__, task, "graph.GRAPH")
    return found


def served_outputs(outputs: Any, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
    """Converts a model's outputs for pixels [N, H, W, C] to the outputs of the spec's task."""
    return task_graph(spec.task).answer(outputs, pixels, spec)


def names_in_each_row(classes: tuple[str, ...], rows: tf.Tensor) -> tf.Tensor:
    """Repeats the class names, in index order, in each row: string [N, K]."""
    return tf.tile(tf.constant(classes, tf.string)[tf.newaxis], (rows, 1))
