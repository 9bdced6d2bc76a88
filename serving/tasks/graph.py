"""Conversion of a model's outputs to the served outputs, as a graph."""

from typing import Any, Protocol, TypeAlias

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


def served_outputs(outputs: Any, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
    """Converts a model's outputs for pixels [N, H, W, C] to the outputs of the spec's task."""
    convert = part_of_task(__package__, spec.task, "graph.convert")
    found: Tensors = convert(outputs, pixels, spec)
    return found


def names_in_each_row(classes: tuple[str, ...], rows: tf.Tensor) -> tf.Tensor:
    """Repeats the class names, in index order, in each row: string [N, K]."""
    return tf.tile(tf.constant(classes, tf.string)[tf.newaxis], (rows, 1))
