"""Metrics of an evaluation as plain values, and as the file `metrics.json`."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from components.evaluation.decisions import Decision
from components.evaluation.paired import McNemar, PairedChange
from components.evaluation.slices import CORRUPTION, STRENGTH, SliceKey, slice_name
from components.evaluation.tasks.bootstrap import GROUP_COUNT
from components.evaluation.tasks.calibration import ReliabilityBin
from components.evaluation.tasks.measures import (
    EXAMPLE_COUNT,
    SUPPORT,
    WITHOUT_TRUTH,
    class_metric,
)
from components.evaluation.tasks.registry import evaluated_task
from components.gate.report import JSON
from components.raster.errors import DataError
from components.raster.task import SINGLE_LABEL, Task

#: Class that represents labels that no model knows.
UNKNOWN_CLASS = "(unknown)"


@dataclass(frozen=True)
class SliceMetrics:
    """One slice: the metrics of the candidate and, if there is one, of the baseline.

    `change` is that of the headline metric, with its bounds; `class_intervals` are the 95 %
    intervals of the candidate's metrics of a class (`recall/Forest`), where there are any.
    """

    key: SliceKey
    candidate: Mapping[str, float]
    baseline: Mapping[str, float] | None = None
    task: Task = SINGLE_LABEL
    change: PairedChange | None = None
    class_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return slice_name(self.key)

    @property
    def examples(self) -> int:
        return int(self.candidate.get(EXAMPLE_COUNT, 0))

    def support(self, class_name: str) -> int:
        """Returns the number of true examples of a class in the slice; 0 for an unknown class."""
        return int(self.candidate.get(class_metric(SUPPORT, class_name), 0))

    @property
    def is_of_one_class(self) -> bool:
        """True if all truth of the slice is one class, so that precision is 1 by construction.

        The accuracy is then the recall of that class, and means over classes are meaningless.
        """
        prefix = class_metric(SUPPORT, "")
        supports = [n for name, n in self.candidate.items() if name.startswith(prefix)]
        return len(supports) > 1 and sum(n > 0 for n in supports) == 1

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the candidate's headline metric, or None if undefined."""
        return evaluated_task(self.task).interval(self.candidate)

    @property
    def groups(self) -> int | None:
        """Number of independent units if examples share groups; else None."""
        count = self.candidate.get(GROUP_COUNT)
        return None if count is None else int(count)

    @property
    def drawn(self) -> dict[str, JSON]:
        """Method of the interval, and the kind and number of units taken as independent."""
        shares = evaluated_task(self.task).is_share and self.groups is None
        return {
            "method": "wilson" if shares else "bootstrap",
            "by": "example" if self.groups is None else "group",
            "count": self.units,
        }

    @property
    def units(self) -> int:
        """Number of groups, or of examples with truth that were drawn alone."""
        alone = self.examples - int(self.candidate.get(WITHOUT_TRUTH, 0))
        return alone if self.groups is None else self.groups


@dataclass(frozen=True)
class EvaluationResult:
    """Measured metrics: `slices` has all examples first, then the slices by name.

    `classes` and `baseline_classes` are those of the models; `confusion` counts the candidate's
    predictions over all examples (pixels in segmentation), true class and predicted class by index
    into `confusion_classes`. `failures` gives by model (candidate, baseline) why it could not be
    evaluated. `mcnemar` compares the models if examples are independent and either right or wrong.
    `reliability` has each model's bins of confidence over all examples, `decisions` the thresholds
    for classes.
    """

    split: str
    classes: tuple[str, ...]
    baseline_classes: tuple[str, ...] | None
    baseline_version: int | None
    slices: tuple[SliceMetrics, ...]
    confusion_classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    task: Task = SINGLE_LABEL
    baseline_task: Task | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    mcnemar: McNemar | None = None
    reliability: Mapping[str, tuple[ReliabilityBin, ...]] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()

    @property
    def overall(self) -> SliceMetrics | None:
        """Metrics over all examples; None if the split has none."""
        return next((item for item in self.slices if not item.key), None)

    @property
    def corruption_curves(self) -> dict[str, tuple[float | None, ...]]:
        """The headline metric of each corruption, by strength; first without any corruption."""
        headline = evaluated_task(self.task).headline
        curves: dict[str, tuple[float | None, ...]] = {}
        for item in self.slices:
            features = dict(item.key)
            if self.overall is not None and features.keys() == {CORRUPTION, STRENGTH}:
                before = curves.get(features[CORRUPTION], (_known(self.overall, headline),))
                curves[features[CORRUPTION]] = (*before, _known(item, headline))
        return curves

    def to_json(self) -> str:
        """Returns strict JSON; a metric that is not finite is null."""
        return json.dumps(self._document(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def _document(self) -> dict[str, JSON]:
        return {
            "split": self.split,
            "task": self.task,
            "baseline_task": self.baseline_task,
            "failures": dict(self.failures),
            "classes": list(self.classes),
            "baseline_version": self.baseline_version,
            "baseline_classes": None
            if self.baseline_classes is None
            else list(self.baseline_classes),
            "mcnemar": None if self.mcnemar is None else asdict(self.mcnemar),
            "reliability": {
                model: [asdict(each) for each in bins] for model, bins in self.reliability.items()
            },
            "decisions": [asdict(each) for each in self.decisions],
            "slices": [_slice_document(item) for item in self.slices],
            "corruptions": {name: list(curve) for name, curve in self.corruption_curves.items()},
            "confusion": {
                "classes": list(self.confusion_classes),
                "counts": [list(row) for row in self.confusion],
            },
        }

    @classmethod
    def from_json(cls, text: str) -> "EvaluationResult":
        """Parses the text of `to_json`; raises DataError if it is not a metrics file."""
        try:
            document = json.loads(text)
            baseline_classes = document["baseline_classes"]
            task = document.get("task", SINGLE_LABEL)
            return cls(
                split=document["split"],
                classes=tuple(document["classes"]),
                baseline_classes=None if baseline_classes is None else tuple(baseline_classes),
                baseline_version=document["baseline_version"],
                slices=tuple(_slice_from(item, task) for item in document["slices"]),
                confusion_classes=tuple(document["confusion"]["classes"]),
                confusion=tuple(tuple(row) for row in document["confusion"]["counts"]),
                task=task,
                baseline_task=document.get("baseline_task"),
                failures=document.get("failures", {}),
                reliability={
                    model: tuple(ReliabilityBin(**each) for each in bins)
                    for model, bins in document.get("reliability", {}).items()
                },
                decisions=tuple(map(Decision.of, document.get("decisions", ()))),
                mcnemar=McNemar(**found) if (found := document.get("mcnemar")) else None,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"not a metrics file ({error!r}): {text[:120]!r}") from error


def _known(item: SliceMetrics, metric: str) -> float | None:
    value = item.candidate.get(metric, math.nan)
    return value if math.isfinite(value) else None


def _slice_document(item: SliceMetrics) -> dict[str, JSON]:
    interval: JSON = None if item.interval is None else list(item.interval)
    headline = evaluated_task(item.task).headline
    return {
        "slice": item.name,
        "features": dict(item.key),
        "examples": item.examples,
        f"{headline}_interval": interval,
        "drawn": item.drawn,
        f"{headline}_change": None if item.change is None else item.change.document(),
        "class_intervals": {name: list(it) for name, it in item.class_intervals.items()},
        "candidate": _finite(item.candidate),
        "baseline": None if item.baseline is None else _finite(item.baseline),
    }


def _finite(metrics: Mapping[str, float]) -> dict[str, JSON]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def _slice_from(document: Mapping[str, JSON], task: Task) -> SliceMetrics:
    features, candidate, baseline = (
        document[name] for name in ("features", "candidate", "baseline")
    )
    assert isinstance(features, dict)
    return SliceMetrics(
        key=tuple((name, str(value)) for name, value in features.items()),
        candidate=_with_nan(candidate),
        baseline=None if baseline is None else _with_nan(baseline),
        task=task,
        change=PairedChange.of(document.get(f"{evaluated_task(task).headline}_change")),
        class_intervals=_intervals(document.get("class_intervals", {})),
    )


def _intervals(document: JSON) -> dict[str, tuple[float, float]]:
    assert isinstance(document, dict)
    return {name: (low, high) for name, (low, high) in document.items()}  # type: ignore


def _with_nan(metrics: JSON) -> dict[str, float]:
    if not isinstance(metrics, dict):
        raise TypeError(f"metrics are a mapping, not {metrics!r}")
    return {
        name: math.nan if value is None else float(value)  # type: ignore[arg-type]
        for name, value in metrics.items()
    }
