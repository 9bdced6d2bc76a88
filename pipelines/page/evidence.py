"""Evidence of a page: what it draws from the test split, small regardless of the data.

The RunPage node gathers it once and keeps it beside its page (`evidence.json`), so that a page of
the whole run can be drawn without reading the data again.
"""

import os
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from components.raster.errors import DataError
from pipelines.page.charts.bars import Histogram
from pipelines.page.charts.places import ScoredPlace

EVIDENCE_FILE = "evidence.json"


@dataclass(frozen=True)
class ConfidenceBin:
    """Answers of similar confidence: how many are right, and how many wrong."""

    low: float
    high: float
    right: int
    wrong: int


@dataclass(frozen=True)
class ClassCurve:
    """Precision, recall and rates of one class against all others, by falling threshold.

    Attributes:
        name: the class.
        positives: examples of the class; of masks its pixels, of boxes its objects.
        precision_recall: points (recall, precision).
        rates: points (false positive rate, recall); none for boxes.
        average_precision: sum of the precisions, weighted by the steps of the recall.
        area: area under the curve of the rates.
    """

    name: str
    positives: int
    precision_recall: tuple[tuple[float, float], ...]
    rates: tuple[tuple[float, float], ...]
    average_precision: float
    area: float


@dataclass(frozen=True)
class Thumbnail:
    """A small picture as a `data:` address, and its caption."""

    caption: str
    address: str


@dataclass(frozen=True)
class ShownExample:
    """An example of the test split: its pictures, and truth, answer and confidence as text.

    `suggested` is what a suspicious label might be, and `detail` where in the image.
    """

    key: str
    pictures: tuple[Thumbnail, ...]
    truth: str
    answer: str
    confidence: float | None = None
    score: float | None = None
    suggested: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class ExampleGroup:
    """Examples with a heading, and a sentence on how they were chosen; of one class or not."""

    title: str
    note: str
    examples: tuple[ShownExample, ...]
    of_class: bool = False


@dataclass(frozen=True)
class FeatureDrift:
    """A feature in the data of the served version (or of training) and in the new data."""

    name: str
    before: Histogram
    after: Histogram


@dataclass(frozen=True)
class PageEvidence:
    """Everything that a page draws from the test split.

    Attributes:
        confidence: bins of the confidence, empty for a task without it.
        curves: of each class, empty for a task without probabilities.
        places: centres of the examples on a map, at most as many as a page can hold.
        place_count: number of examples with a place.
        groups: the shown examples.
        legend: the classes with the colours of the pictures, as `#rrggbb`.
        drift: histograms of each feature, those that differ most first.
        drift_of: names of the data before and after.
    """

    confidence: tuple[ConfidenceBin, ...] = ()
    curves: tuple[ClassCurve, ...] = ()
    places: tuple[ScoredPlace, ...] = ()
    place_count: int = 0
    groups: tuple[ExampleGroup, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    drift: tuple[FeatureDrift, ...] = ()
    drift_of: tuple[str, str] = ("", "")


_JSON = TypeAdapter(PageEvidence)


def write_evidence(evidence: PageEvidence, folder: str) -> None:
    """Writes the evidence into a page's folder."""
    with open(os.path.join(folder, EVIDENCE_FILE), "wb") as file:
        file.write(_JSON.dump_json(evidence))


def read_evidence(folder: str) -> PageEvidence:
    """Reads the evidence in a page's folder; without any, nothing is drawn.

    Raises:
        DataError: the file holds something else.
    """
    path = os.path.join(folder, EVIDENCE_FILE)
    try:
        with open(path, "rb") as file:
            return _JSON.validate_json(file.read())
    except FileNotFoundError:
        return PageEvidence()
    except ValidationError as error:
        raise DataError(f"{path}: is not the evidence of a page: run the pipeline again") from error
