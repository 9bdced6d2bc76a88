"""Interface of a task in the evaluation; one implementation for each task."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from components.evaluation.tasks.bootstrap import GROUP_COUNT, Units, bounds_of
from components.evaluation.tasks.bootstrap import interval as bootstrap_interval
from components.evaluation.tasks.measures import (
    EXAMPLE_COUNT,
    WITHOUT_TRUTH,
    Floats,
    wilson_interval,
)
from components.raster.image import ImageSpec
from components.raster.task import Task
from components.raster.text import join_names, split_names

#: Separator of class names in one text.
_SEPARATOR = "; "
#: Values of an example's features, by name; missing features are left out.
Features: TypeAlias = Mapping[str, Sequence[bytes | float]]
#: One example's row of each output of the model.
AnswerRow: TypeAlias = Mapping[str, npt.NDArray[Any]]
#: Columns of an example's row that only one task has.
Details: TypeAlias = Mapping[str, Sequence[float]]
#: Contribution of one example to a tally, as the labels and predictions of a TFMA extract.
Observation: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]]


@dataclass(frozen=True)
class Frame:
    """Mapping of the truth and a model's answers to the common space of classes.

    Attributes:
        space: every class of every compared model, the candidate's first, the unknown one last.
        classes: those of this model, in its order.
        truth_classes: classes by the indices in the truth: the candidate's, which was trained on
            such examples.
        image: how an example's image is fitted to this model.
        score_threshold: the least score of a box that counts as found.
        decided: places of the classes for which evaluation.decisions wants a threshold.
    """

    space: tuple[str, ...]
    classes: tuple[str, ...]
    truth_classes: tuple[str, ...]
    image: ImageSpec
    score_threshold: float
    decided: tuple[int, ...] = ()

    @property
    def unknown(self) -> int:
        """Place of the unknown class."""
        return len(self.space) - 1

    def indices(self, names: Iterable[bytes | float]) -> npt.NDArray[np.int64]:
        """Returns the places in the space of class names, as an example stores them."""
        found = (self._places.get(text_of(name), self.unknown) for name in names)
        return np.fromiter(found, np.int64)

    @cached_property
    def of_model(self) -> npt.NDArray[np.int64]:
        """Place in the space of each class of the model."""
        return np.array([self._places[name] for name in self.classes], np.int64)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.space)}


@dataclass(frozen=True)
class Judged:
    """One example's truth and answer in readable form, and how good the answer is.

    The fields are those of `components.evaluation.predictions`; None where undefined.
    """

    truth: str | None = None
    answer: str | None = None
    confidence: float | None = None
    score: float | None = None
    loss: float | None = None
    probabilities: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Scored:
    """Units of one example (itself, pixels or objects) by their score for one class.

    Attributes:
        scores: [M], in any order.
        right: units of the class with this score, [M].
        decided: all units with this score, [M].
        true: units of the class, with or without a score.
    """

    scores: Floats
    right: Floats
    decided: Floats
    true: float


@dataclass(frozen=True)
class Replicated:
    """Result of the bootstrap for one model on one slice.

    Attributes:
        headline: in each replicate [REPLICATES], NaN if unknown; those of two models on the same
            examples are paired.
        class_intervals: 95 % intervals by metric, each [K, 2]; NaN if unknown.
    """

    headline: Floats
    class_intervals: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class FirstThreshold:
    """Threshold of a first model.

    Attributes:
        metric: the metric.
        least: its least value; None: more than a model reaches that always predicts the largest
            class.
        why: the reason.
    """

    metric: str
    least: float | None = None
    why: str = "raise it to what your model must do"


class Mergeable(Protocol):
    """Tally: mergeable counts of one model on one slice."""

    @property
    def examples(self) -> int:
        """Number of examples, including those without truth."""

    def merge(self, others: Iterable[Self]) -> Self:
        """Adds the other tallies' counts, and returns self."""


T = TypeVar("T", bound=Mergeable)


class EvaluatedTask(ABC, Generic[T]):
    """One task: the outputs and features that it reads, its counts and its metrics.

    Attributes:
        outputs: the signature's outputs that are read.
        truth: the features of an example that carry the truth; messages name the first.
        overall_metrics: metrics with one value per slice.
        class_metrics: metrics with one value per class and slice, written `recall/Forest`.
        headline: the main metric, with an interval; `title` in words.
        decision_unit: unit to which a threshold on the score of a class applies; None for a task
            without scores of classes.
        detail_columns: columns of an example's row that only this task has: lists of numbers of
            these types.
        is_share: the headline is the share of the examples that are right.
        columns: further metrics in the summary's table, by their titles.
        first_threshold: the threshold that `skymill init` proposes.
        answer_noun: name of an answer's values in messages on non-finite ones.
    """

    task: ClassVar[Task]
    outputs: ClassVar[tuple[str, ...]]
    truth: ClassVar[tuple[str, ...]]
    overall_metrics: ClassVar[tuple[str, ...]]
    class_metrics: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str]
    headline: ClassVar[str]
    decision_unit: ClassVar[str | None] = None
    detail_columns: ClassVar[Mapping[str, type[np.number[Any]]]] = {}
    is_share: ClassVar[bool] = False
    columns: ClassVar[Mapping[str, str]]
    first_threshold: ClassVar[FirstThreshold]
    answer_noun: ClassVar[str] = "probability"

    @abstractmethod
    def observe(self, features: Features, answer: AnswerRow, frame: Frame) -> Observation:
        """Returns the contribution of one example and a model's answer to a tally."""

    @abstractmethod
    def judged(self, features: Features, observation: Observation, frame: Frame) -> Judged:
        """Returns the example's row of the predictions, from its contribution to a tally.

        Probabilities are in the order of the model's own classes.
        """

    def details(self, features: Features, answer: AnswerRow, frame: Frame) -> Details | None:
        """Returns the columns of the example's row that only this task has.

        None for an example without truth, and for a task without such columns. Classes are places
        in the candidate's space.
        """
        return None

    def scored(self, details: Details, place: int, class_count: int) -> Scored:
        """Returns the units that an example's details have for a class."""
        raise NotImplementedError(f"{self.task} has no details with scores")

    @abstractmethod
    def pair(self, features: Features, answer: AnswerRow, frame: Frame) -> tuple[Any, Any] | None:
        """Returns truth and prediction of one example for user-defined metrics.

        Classes are places in the space. None for an example without truth.
        """

    @abstractmethod
    def empty(self, class_count: int) -> T:
        """Returns an empty tally for a number of classes in the space."""

    @abstractmethod
    def add(
        self, tally: T, labels: npt.NDArray[Any], predictions: npt.NDArray[Any], seed: int
    ) -> None:
        """Counts one observation, with the seed of its unit (see `bootstrap`)."""

    @abstractmethod
    def overall(self, tally: T) -> dict[str, float]:
        """Returns the metrics with one value per slice, and counts; NaN where undefined."""

    @abstractmethod
    def units(self, tally: T) -> Units:
        """Returns the independent units of the examples with truth."""

    @abstractmethod
    def replicated(self, tally: T) -> Replicated:
        """Returns the headline in each replicate, and the intervals of the classes' metrics."""

    def per_class(self, tally: T) -> dict[str, Floats]:
        """Returns the metrics with one value per class, each [K], and the support in examples."""
        return {}

    def confusion(self, tally: T) -> Floats | None:
        """Returns counts [true][predicted], or None for a task without them."""
        return None

    def calibration(self, tally: T) -> Floats | None:
        """Returns the bins of confidence [3, CALIBRATION_BINS]; None for a task without it."""
        return None

    def bounds(self, tally: T, replicated: Floats) -> dict[str, float]:
        """Returns the values stored beside the headline: its interval, and the count of groups.

        Empty for a share of examples that were drawn alone, whose interval needs no bootstrap.
        """
        units = self.units(tally)
        if self.is_share and not units.groups:
            return {}
        counted = {GROUP_COUNT: float(units.count)} if units.groups else {}
        found = bootstrap_interval(replicated, units)
        return dict(zip(bounds_of(self.headline), found, strict=True)) | counted

    def interval(self, metrics: Mapping[str, float]) -> tuple[float, float] | None:
        """Returns the headline's 95 % interval, from one slice's metrics; None if undefined.

        It is the bootstrap's, which is stored beside the metric, or Wilson's for a share of
        examples that were drawn alone.
        """
        if self.is_share and GROUP_COUNT not in metrics:
            share = metrics.get(self.headline, math.nan)
            judged = metrics.get(EXAMPLE_COUNT, 0) - metrics.get(WITHOUT_TRUTH, 0)
            n = 0 if math.isnan(share) else int(judged)
            return wilson_interval(share * n if n else 0.0, n)
        low, high = (metrics.get(name, math.nan) for name in bounds_of(self.headline))
        return None if math.isnan(low) or math.isnan(high) else (low, high)

    def measures(self, metric: str) -> bool:
        """Checks whether the task has a metric, by its name in thresholds."""
        kind, slash, class_name = metric.partition("/")
        if slash:
            return kind in self.class_metrics and bool(class_name)
        return metric in (*self.overall_metrics, EXAMPLE_COUNT)

    def vocabulary(self) -> str:
        """Lists the metrics that thresholds may name, as text."""
        per_class = (f"{kind}/<class>" for kind in self.class_metrics)
        return ", ".join((*self.overall_metrics, EXAMPLE_COUNT, *per_class))


def joined(names: Iterable[str]) -> str:
    """Joins class names into one text, each once and in alphabetical order.

    A backslash precedes each semicolon and backslash within a name.

    >>> print(joined(["road", "field"]))
    field; road
    >>> print(joined(["track; unpaved", "road"]))
    road; track\\; unpaved
    """
    return join_names(sorted(set(names)), _SEPARATOR)


def split_joined(text: str) -> tuple[str, ...]:
    """Inverts `joined`.

    >>> split_joined(joined(["track; unpaved", "road"]))
    ('road', 'track; unpaved')
    """
    return split_names(text, _SEPARATOR)


def text_of(value: bytes | float) -> str:
    """Returns a class name, as an example stores it, as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
