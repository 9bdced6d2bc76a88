"""What the evaluation must know of a task; each task's module says it once."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from components.evaluation.tasks.bootstrap import bounds_of
from components.evaluation.tasks.measures import EXAMPLE_COUNT, Floats
from components.raster.image import ImageSpec
from components.raster.task import Task

#: The values of an example's features, by name; a feature that it lacks is not there.
Features: TypeAlias = Mapping[str, Sequence[bytes | float]]
#: One example's row of each of the model's outputs.
Answer: TypeAlias = Mapping[str, npt.NDArray[Any]]
#: What one example adds to a tally, in the two places where TFMA carries it.
Observation: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]]


@dataclass(frozen=True)
class Frame:
    """Where truth and answers meet.

    Attributes:
        space: every class of every compared model, the candidate's first, the unknown one last.
        classes: those that this model answers with, in its order.
        truth_classes: what the class indices in the truth mean: the candidate's classes, because
            it was trained on these examples.
        image: how an example's image meets this model.
        score_threshold: the least score of a box that counts as found.
    """

    space: tuple[str, ...]
    classes: tuple[str, ...]
    truth_classes: tuple[str, ...]
    image: ImageSpec
    score_threshold: float

    @property
    def unknown(self) -> int:
        """The place of the unknown class."""
        return len(self.space) - 1

    def indices(self, names: Iterable[bytes | float]) -> npt.NDArray[np.int64]:
        """The places in the space of names as an example carries them."""
        found = (self._places.get(_text(name), self.unknown) for name in names)
        return np.fromiter(found, np.int64)

    @cached_property
    def of_model(self) -> npt.NDArray[np.int64]:
        """The place in the space of each class of the model."""
        return np.array([self._places[name] for name in self.classes], np.int64)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.space)}


class Mergeable(Protocol):
    """A tally: what was counted of one model on one slice."""

    @property
    def examples(self) -> int:
        """How many examples were counted, those without truth among them."""

    def merge(self, others: Iterable[Self]) -> Self:
        """Take in what others have counted, and return self."""


T = TypeVar("T", bound=Mergeable)


class Family(ABC, Generic[T]):
    """One task: which outputs and features it reads, what it counts, and which metrics follow.

    Attributes:
        outputs: the signature's outputs that are read.
        named: whether answers have classes, in the output `classes`.
        truth: the features of an example that carry the truth; the first stands for it in words.
        overall_metrics: metrics with one value a slice.
        class_metrics: metrics with one value a class and slice, written `recall/Forest`.
        headline: the metric that speaks for a model, with an interval; `title` in words.
        columns: the other metrics of the summary's table, by their titles.
        answer_noun: what is not finite, where an answer is not.
    """

    task: ClassVar[Task]
    outputs: ClassVar[tuple[str, ...]]
    named: ClassVar[bool] = True
    truth: ClassVar[tuple[str, ...]]
    overall_metrics: ClassVar[tuple[str, ...]]
    class_metrics: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str]
    headline: ClassVar[str]
    columns: ClassVar[Mapping[str, str]]
    answer_noun: ClassVar[str] = "probability"

    @abstractmethod
    def observe(self, features: Features, answer: Answer, frame: Frame, seed: int) -> Observation:
        """What one example and a model's answer add to a tally."""

    @abstractmethod
    def empty(self, class_count: int) -> T:
        """A tally of nothing, for so many classes of the space."""

    @abstractmethod
    def add(self, tally: T, labels: npt.NDArray[Any], predictions: npt.NDArray[Any]) -> None:
        """Count one observation."""

    @abstractmethod
    def overall(self, tally: T) -> dict[str, float]:
        """The metrics with one value a slice, and counts; NaN where nothing defines them."""

    def per_class(self, tally: T) -> dict[str, Floats]:
        """The metrics with one value a class, each [K], and the support in examples."""
        return {}

    def confusion(self, tally: T) -> Floats | None:
        """Counts [true][predicted], where the task has such."""
        return None

    def interval(self, metrics: Mapping[str, float]) -> tuple[float, float] | None:
        """The 95 % interval of the headline, out of one slice's metrics; None where there is none.

        By default that of a bootstrap, which is stored beside the metric.
        """
        low, high = (metrics.get(name, math.nan) for name in bounds_of(self.headline))
        return None if math.isnan(low) or math.isnan(high) else (low, high)

    def measures(self, metric: str) -> bool:
        """Whether the task has a metric, by the name that thresholds use."""
        kind, slash, class_name = metric.partition("/")
        if slash:
            return kind in self.class_metrics and bool(class_name)
        return metric in (*self.overall_metrics, EXAMPLE_COUNT)

    def vocabulary(self) -> str:
        """The metrics that thresholds may name, in words."""
        per_class = (f"{kind}/<class>" for kind in self.class_metrics)
        return ", ".join((*self.overall_metrics, EXAMPLE_COUNT, *per_class))


def _text(value: bytes | float) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
