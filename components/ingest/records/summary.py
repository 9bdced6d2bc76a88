"""Ingest summary: counts for people and gates, without a framework."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from components.gate.report import JSON, Finding, GateReport
from components.raster.errors import DataError
from components.raster.example import SPLITS
from components.raster.extent import Extent, joined
from components.raster.task import ONE_OF_SEVERAL, SINGLE_LABEL, Task

GATE = "rejects"
_NAMED_REASONS = 3


@dataclass(frozen=True)
class IngestSummary:
    """Counts of one ingest.

    Attributes:
        examples: by split and class name; an image with several classes counts for each.
        images: examples by split.
        rejects: by reason code.
        ignored: files that are not images, by suffix.
        units: of the tiles of rasters, by band, in words.
        extent: around the centres of the georeferenced examples.
        train_to_test_m: metres between the nearest tiles of the train and the test split, as
            listed by the source; None if they have no location.
    """

    examples: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    rejects: Mapping[str, int] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    extent: Extent | None = None
    train_to_test_m: float | None = None

    @property
    def total_images(self) -> int:
        return sum(self.images.values())

    @property
    def total_rejects(self) -> int:
        return sum(self.rejects.values())

    @property
    def reject_fraction(self) -> float:
        """Share of rejects among all intended images; 0 if there were none."""
        total = self.total_images + self.total_rejects
        return self.total_rejects / total if total else 0.0

    def to_json(self) -> str:
        return json.dumps(self.as_facts(), indent=1, sort_keys=True) + "\n"

    def as_facts(self) -> dict[str, JSON]:
        return {
            "examples": {split: dict(counts) for split, counts in self.examples.items()},
            "images": dict(self.images),
            "rejects": dict(self.rejects),
            "ignored": dict(self.ignored),
            "total_images": self.total_images,
            "total_rejects": self.total_rejects,
            **({"units": dict(self.units)} if self.units else {}),
            **({"extent": _extent_facts(self.extent)} if self.extent else {}),
            **({} if self.train_to_test_m is None else {_DISTANCE: self.train_to_test_m}),
        }

    @classmethod
    def from_json(cls, text: str) -> "IngestSummary":
        """Inverts `to_json`; raises DataError if `text` is not a summary."""
        try:
            facts = json.loads(text)
            extent = facts.get("extent")
            return cls(
                *(facts["examples"], facts["images"], facts["rejects"], facts["ignored"]),
                units=facts.get("units", {}),
                extent=extent and Extent(*(tuple(extent[name]) for name in _EXTENT)),
                train_to_test_m=facts.get(_DISTANCE),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"not a summary of ingest ({error!r}): {text[:80]!r}") from error


def total(summaries: Iterable[IngestSummary]) -> IngestSummary:
    """Adds up summaries; the sum has every split."""
    examples: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    images = Counter(dict.fromkeys(SPLITS, 0))
    rejects: Counter[str] = Counter()
    ignored: Counter[str] = Counter()
    units: dict[str, str] = {}
    extent: Extent | None = None
    distances_m: list[float] = []
    for summary in summaries:
        units |= summary.units
        distances_m += [] if summary.train_to_test_m is None else [summary.train_to_test_m]
        extent = joined((extent, summary.extent))
        for split, counts in summary.examples.items():
            examples[split].update(counts)
        images.update(summary.images)
        rejects.update(summary.rejects)
        ignored.update(summary.ignored)
    return IngestSummary(
        {split: dict(sorted(counts.items())) for split, counts in examples.items()},
        dict(images),
        dict(sorted(rejects.items())),
        dict(sorted(ignored.items())),
        units,
        extent,
        min(distances_m, default=None),
    )


_DISTANCE = "train_to_test_m"
_EXTENT = ("longitudes", "turned", "latitudes")


def _extent_facts(extent: Extent) -> dict[str, JSON]:
    return {
        "bbox": list(extent.bbox),
        **{name: list(getattr(extent, name)) for name in _EXTENT},
    }


def rejects_report(
    summary: IngestSummary,
    max_reject_fraction: float,
    classes: Sequence[str],
    fingerprint: str,
    task: Task = SINGLE_LABEL,
) -> GateReport:
    """Judges whether a model can be trained on the examples.

    It can if there are few rejects, every split has an example, and a classifier has several
    classes.
    """
    findings = [few_rejects(summary, max_reject_fraction)]
    findings += [_not_empty(summary, split) for split in SPLITS]
    if task in ONE_OF_SEVERAL and len(classes) == 1:
        findings.append(_one_class(classes[0]))
    trained = summary.examples.get("train", {})
    untrained: list[JSON] = [name for name in classes if not trained.get(name)]
    facts = summary.as_facts() | {
        "fingerprint": fingerprint,
        "reject_fraction": summary.reject_fraction,
        "classes_without_training_examples": untrained,
    }
    return GateReport(GATE, tuple(findings), facts)


def few_rejects(summary: IngestSummary, limit: float) -> Finding:
    """Judges the fraction of rejects."""
    fraction, rejects = summary.reject_fraction, Counter(summary.rejects)
    detail = (
        f"{summary.total_rejects} of {summary.total_rejects + summary.total_images} images "
        f"({fraction:.2%}) were rejected; the limit is {limit:.2%}"
    )
    if rejects:
        reasons = ", ".join(f"{it} {count}" for it, count in rejects.most_common(_NAMED_REASONS))
        detail += f"; most by reason: {reasons}"
    if fraction > limit:
        detail += ". Fix or remove them (rejects-*.jsonl names each), or raise max_reject_fraction"
    subject = rejects.most_common(1)[0][0] if rejects else "rejects"
    return Finding(GATE, "max_reject_fraction", fraction <= limit, subject, detail)


def _one_class(name: str) -> Finding:
    detail = (
        f"{name} is the only class: a model that always answers it is always right. Add examples "
        "that are not of this class, as a separate class"
    )
    return Finding(GATE, "two_classes", False, name, detail)


def _not_empty(summary: IngestSummary, split: str) -> Finding:
    count = summary.images.get(split, 0)
    detail = f"split {split} has {count} examples"
    if not count:
        detail += "; give it images, or change the split's fractions or its salt"
    return Finding(GATE, "split_not_empty", count > 0, split, detail)
