"""The model card as values, and as the file `model_card.json`."""

from collections.abc import Mapping
from typing import Self

from pydantic import ValidationError

from components.push.card.config import CardConfig
from components.raster.errors import DataError
from components.raster.frozen import Frozen

CARD_FILE = "model_card.json"
CARD_PAGE_FILE = "model_card.html"


class Inputs(Frozen):
    """Images that the model is meant for.

    Attributes:
        bands: of rasters, in the model's order; empty for photographs, which are RGB.
        height_px, width_px: shape of the model's input.
        fit: how an image of another shape is fitted to it.
        values: of rasters, kind of the numbers: `stored` or `scaled`.
        tile_height_px, tile_width_px, gsd_m: least and greatest of the training tiles.
        sensors: of the training tiles, the most frequent first.
    """

    bands: tuple[str, ...] = ()
    height_px: int
    width_px: int
    fit: str
    values: str | None = None
    tile_height_px: tuple[float, float] | None = None
    tile_width_px: tuple[float, float] | None = None
    gsd_m: tuple[float, float] | None = None
    sensors: tuple[str, ...] = ()


class Data(Frozen):
    """Examples of the run.

    Attributes:
        fingerprint: of the source's content.
        span: of the source; empty if it has none.
        images: examples by split.
        classes: by split, examples of each class.
        rejects: refused items by reason.
        bbox: west, south, east, north of the examples' centres, in degrees; None if they have none.
        split: the rule that assigned the splits, in words.
        train_to_test_m: metres between the nearest tiles of the train and the test split; None if
            they have no location.
    """

    fingerprint: str
    span: str = ""
    images: Mapping[str, int] = {}
    classes: Mapping[str, Mapping[str, int]] = {}
    rejects: Mapping[str, int] = {}
    bbox: tuple[float, float, float, float] | None = None
    split: str = ""
    train_to_test_m: float | None = None


class Measured(Frozen):
    """The main metric of one slice.

    Attributes:
        slice: its name; `overall` for all examples.
        interval: of 95 %; None if undefined.
        groups: places or scenes that the examples come from; None if unknown.
        differs: the whole interval is worse than the value over all examples.
    """

    slice: str
    examples: int
    value: float | None
    interval: tuple[float, float] | None = None
    groups: int | None = None
    differs: bool = False


class CardMetrics(Frozen):
    """Metrics of the model on one split.

    Attributes:
        split: on which they were measured.
        headline: name of the main metric.
        lower_is_better: for the main metric.
        overall: the main metric over all examples.
        all: every metric over all examples that is a single number.
        classes: of each class, its metrics by name, with `support`, its number of examples.
        worst: a few slices where the main metric is worst: first those that differ, then by value.
        others_worse: number of further slices that differ.
        corrupted: copies of the examples with each configured corruption at its greatest strength.
        baseline_version: the version that was served before; None for the first one.
        compared: whether that version was measured on the same examples.
    """

    split: str
    headline: str
    lower_is_better: bool
    overall: Measured
    all: Mapping[str, float | None] = {}
    classes: Mapping[str, Mapping[str, float | None]] = {}
    worst: tuple[Measured, ...] = ()
    others_worse: int = 0
    corrupted: tuple[Measured, ...] = ()
    baseline_version: int | None = None
    compared: bool = False


class GateOutcome(Frozen):
    """A gate that the run passed, and the findings that its configuration allowed."""

    gate: str
    findings: int
    allowed: tuple[str, ...] = ()


class ModelCard(Frozen):
    """Facts that a reader needs before relying on a model, all from its run.

    It names its run and the digest of its model, but no version: a push assigns the number when
    it puts the finished folder in place, so the number is that of the folder around the card.

    Attributes:
        made: time of the push, ISO 8601.
        architecture: as in `About`, with the values that a search chose, and the number of
            members of an ensemble.
        pretrained: as in `About`.
        terms: from the configuration.
        limits: sentences; those from the configuration first.
        environment: versions of the code and of the frameworks.
    """

    name: str
    made: str
    task: str
    run_id: str
    model_sha256: str
    classes: tuple[str, ...]
    architecture: str = ""
    pretrained: str | None = None
    terms: CardConfig
    inputs: Inputs
    data: Data
    metrics: CardMetrics
    gates: tuple[GateOutcome, ...]
    limits: tuple[str, ...]
    environment: Mapping[str, str | None]

    def to_json(self) -> bytes:
        """Returns the content of `model_card.json`."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Self:
        """Parses the text of `to_json`; raises DataError for another document."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise DataError(f"{where} is not a model card ({key}: {first['msg']})") from error
