"""Interface of a task's predictions, and parts that several tasks share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from components.raster.errors import SkymillError
from serving.tasks.reliability import Reliability

#: Names of the classes, in the order of their indices.
CLASSES_OUTPUT = "classes"
PROBABILITIES_OUTPUT = "probabilities"

#: Arrays by output name.
Outputs: TypeAlias = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Lists:
    """A column of lists.

    Attributes:
        values: (sum of the lengths,): all lists, concatenated.
        lengths: (N,): length of each row's list.
    """

    values: npt.NDArray[Any]
    lengths: npt.NDArray[np.integer]


#: Columns of a table with a row for each of N images: arrays of N rows, or lists.
Columns: TypeAlias = Mapping[str, npt.NDArray[Any] | Lists]


#: Name of the followed class, object or number, and its score in each row of outputs: [N].
Followed: TypeAlias = tuple[str, Callable[[Outputs], npt.NDArray[Any]]]


class UnknownTarget(SkymillError):
    """A target that is not a class or object of an answer."""


#: Part of an image to which an answer belongs: the image, each pixel, or each object.
Form: TypeAlias = Literal["image", "pixels", "objects"]


class AnyPrediction(ABC):
    """Prediction of a model for one image; each task has its own type.

    Attributes:
        form: part of an image to which an answer belongs.
        outputs: names of the outputs of every signature.
        model_version: version of the model that answered; None if the server does not report it,
            as TensorFlow Serving over REST, unless the request named a version.
        reliability: reliability of the answer; None if the model reports none.
    """

    form: ClassVar[Form] = "image"
    outputs: ClassVar[tuple[str, ...]]
    model_version: int | None
    reliability: Reliability | None

    @classmethod
    @abstractmethod
    def read(cls, row: Outputs, model_version: int | None) -> Self:
        """Converts the outputs' rows for one image."""

    @classmethod
    @abstractmethod
    def columns(cls, outputs: Outputs) -> Columns:
        """Converts the outputs for N images to columns, for tables of many predictions."""

    @abstractmethod
    def as_text(self, top: int) -> str:
        """Returns the prediction as one line, with at most `top` classes or objects."""

    @abstractmethod
    def values(self) -> dict[str, Any]:
        """Returns the predicted values as plain values, without the pixels of class rasters."""

    @abstractmethod
    def difference(self, served: Self, tolerance: float) -> str:
        """Describes how a server's prediction differs from this one; empty if they agree.

        Probabilities may differ by the tolerance, numbers and edges by it or by that share of their
        magnitude. The result of comparing probabilities, such as the class, may then differ if they
        are closer than the tolerance.
        """

    @classmethod
    @abstractmethod
    def follow(cls, outputs: Outputs, target: str, classes: tuple[str, ...]) -> "Followed":
        """Chooses a score to follow while the image changes, for explanations from answers only.

        Args:
            outputs: of `serving_pixels` for one image.
            target: as in `serving_explain`; empty for the answer's own.
            classes: of the contract.

        Raises:
            UnknownTarget: the answer has no such class or object.
        """

    def as_json(self) -> dict[str, Any]:
        """Returns the values and the model's version as plain values."""
        more = self.reliability.values() if self.reliability else {}
        return {**self.values(), **more, "model_version": self.model_version}


def text_of(value: Any) -> str:
    """Decodes a string element of an array."""
    return bytes(value).decode()


def class_names(row: Outputs) -> tuple[str, ...]:
    """Returns the names of the classes."""
    return tuple(name.decode() for name in row[CLASSES_OUTPUT].tolist())


def probabilities_of(row: Outputs) -> dict[str, float]:
    """Returns the probability of each class by name."""
    return dict(zip(class_names(row), row[PROBABILITIES_OUTPUT].tolist(), strict=True))


def ranked(values: Mapping[str, float], top: int) -> str:
    """Returns the `top` classes with the highest values, as text."""
    order = sorted(values.items(), key=lambda item: -item[1])
    return "  ".join(f"{name} {value:.3f}" for name, value in order[:top])


def difference_of_probabilities(
    wanted: Mapping[str, float], served: Mapping[str, float], tolerance: float
) -> str:
    """Describes how probabilities by class differ; empty if they agree."""
    if list(wanted) != list(served):
        return f"classes {list(served)}, not {list(wanted)}"
    difference = max(abs(served[name] - value) for name, value in wanted.items())
    if not difference <= tolerance:  # also true for NaN
        return f"a probability differs by {difference:.3g}"
    return ""


def are_close(wanted: float, served: float, tolerance: float) -> bool:
    """Compares two numbers by their absolute or relative difference."""
    return abs(served - wanted) <= tolerance * max(1.0, abs(wanted))


def index_of_target(target: str, classes: tuple[str, ...], scores: npt.NDArray[Any]) -> int:
    """Returns the index of the target class; without a target, that of the highest score of [K].

    Raises:
        UnknownTarget: there is no such class.
    """
    if not target:
        return int(np.argmax(scores))
    if target not in classes:
        raise UnknownTarget(f"{target!r} is not a class of the model: {', '.join(classes)}")
    return classes.index(target)


def follow_class(outputs: Outputs, target: str, classes: tuple[str, ...]) -> Followed:
    """Follows the probability of one class of the image."""
    index = index_of_target(target, classes, outputs[PROBABILITIES_OUTPUT][0])
    return classes[index], lambda changed: changed[PROBABILITIES_OUTPUT][:, index]
