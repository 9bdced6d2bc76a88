"""Interface of a task: conversion of a model's outputs to the served outputs, as a graph."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import tensorflow as tf

from components.raster.task import Task, part_of_task
from serving.tasks.pooling import Pooled

#: Tensors of N rows by output name.
Tensors: TypeAlias = dict[str, tf.Tensor]


class AnswerSpec(Protocol):
    """Part of a model's contract that determines its served outputs."""

    @property
    def task(self) -> Task: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def threshold(self) -> float: ...

    @property
    def temperature(self) -> float | None: ...


@dataclass(frozen=True)
class Explained:
    """The part of each answer that is explained.

    Attributes:
        names: string [N], for people.
        weights: float32, in the shape of the outputs [N, ...]: the explained score is the sum of
            their products.
        known: bool [N]: whether the target exists.
    """

    names: tf.Tensor
    weights: tf.Tensor
    known: tf.Tensor


def scaled(logits: tf.Tensor, spec: AnswerSpec) -> tf.Tensor:
    """Returns logits as float32, divided by the temperature of a spec that has one."""
    logits = tf.cast(logits, tf.float32)
    return logits if spec.temperature is None else logits / spec.temperature


class TaskGraph(ABC):
    """Conversion of a model's outputs to those that its signatures return.

    Attributes:
        has_planes: whether there is a compact form for maps of whole scenes.
        disagreement: measure of the disagreement of an ensemble's members.
    """

    has_planes: ClassVar[bool] = False
    disagreement: ClassVar[Literal["mutual_information", "standard_deviation"]] = (
        "mutual_information"
    )

    @abstractmethod
    def answer(self, outputs: Any, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts outputs for pixels [N, H, W, C] to the outputs of the task."""

    @abstractmethod
    def explained(
        self,
        outputs: tf.Tensor,
        found: Any,
        pixels: tf.Tensor,
        target: tf.Tensor,
        spec: AnswerSpec,
    ) -> Explained:
        """Chooses the score that an explanation follows.

        Args:
            outputs: of the network, as for its loss.
            found: the outputs for `answer`.
            pixels: [N, H, W, C].
            target: string [N]: a class, or another target of the task; empty for the answer's own.
            spec: the contract.
        """

    def conformal(self, answer: Tensors, bound: float | None) -> Tensors:
        """Returns the conformal set or interval beside an answer; default: none.

        Args:
            answer: of this task.
            bound: see `serving.contract.reliability.Conformal`.
        """
        return {}

    def conformal_error(
        self, answer: Tensors, label: tf.Tensor, number: tf.Tensor
    ) -> tf.Tensor | None:
        """Returns the error of each answer [N], which `bound` limits; None for a task without one.

        Args:
            answer: of this task.
            label: int64 [N], true class of an image that has one.
            number: float32 [N], true number of an image that has one.
        """
        return None

    def pool(self, members: tf.Tensor, pixels: tf.Tensor) -> Pooled | None:
        """Combines the outputs of an ensemble; None if members' outputs have no mean.

        Args:
            members: outputs of each member for the same pixels, [M, N, ...].
            pixels: [N, H, W, C].
        """
        return None

    def for_maps(self, outputs: Any, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts the same to the outputs for a map of a whole scene; default: the answer."""
        return self.answer(outputs, pixels, spec)

    def planes(self, outputs: Any) -> Tensors:
        """Converts outputs to the compact form; empty if there is none."""
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


def chosen_class(scores: tf.Tensor, target: tf.Tensor, spec: AnswerSpec) -> tuple[Any, Any]:
    """Returns the index of each row's target class, int32 [N], and whether there is such a class.

    Args:
        scores: [N, K]; the class with the highest is chosen if the target is empty.
        target: string [N]: names of classes.
        spec: the contract.
    """
    same = tf.equal(target[:, tf.newaxis], tf.constant(spec.classes, tf.string)[tf.newaxis])
    named = tf.reduce_any(same, axis=1)
    by_name = tf.argmax(tf.cast(same, tf.int32), axis=1, output_type=tf.int32)
    best = tf.argmax(scores, axis=1, output_type=tf.int32)
    return tf.where(named, by_name, best), named | tf.equal(target, "")


def explained_class(outputs: tf.Tensor, target: tf.Tensor, spec: AnswerSpec) -> Explained:
    """Explains the logit of one class in outputs [N, K]."""
    index, known = chosen_class(outputs, target, spec)
    names = tf.gather(tf.constant(spec.classes, tf.string), index)
    return Explained(names, tf.one_hot(index, len(spec.classes)), known)
