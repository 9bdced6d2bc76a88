"""Configuration of an evaluation: slices, thresholds and allowances."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    FiniteFloat,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from components.evaluation.corruptions import CorruptionName
from components.evaluation.decision_config import DecisionConfig
from components.evaluation.own_metric_config import CustomMetric
from components.evaluation.slices import CORRUPTION, OVERALL, STRENGTH, parse_selector
from components.evaluation.tasks.registry import evaluated_task, tasks_with
from components.raster.frozen import Frozen
from components.raster.task import TASKS, Task
from components.raster.text import composed

#: Names that `allow` may hold; the text behind the colon selects one case.
_ALLOWANCES = {
    "missing_baseline": r"",
    "unusable_baseline": r"",
    "task_changed": r"",
    "classes_changed": r"",
    "unknown_labels": r"",
    "missing_slice": r":.+",
    "nan": r":[^@]+(@.+)?",
}
#: Prefix of a metric: its difference between the best and the worst slice.
_GAP = "gap:"


class ChangeBounds(Frozen):
    """Bounds on candidate minus baseline; with `relative`, divided by the baseline's magnitude."""

    at_least: FiniteFloat | None = Field(
        default=None, description="The least difference from the baseline."
    )
    at_most: FiniteFloat | None = Field(
        default=None, description="The largest difference from the baseline."
    )
    relative: bool = Field(
        default=False, description="true: the bounds are shares of the baseline's value."
    )
    confidence: float | None = Field(
        default=None,
        ge=0.5,
        le=0.99,
        description="Confidence with which the difference must keep the bounds, such as 0.95, by a "
        "paired bootstrap over the examples or their groups; for the task's main metric. "
        "Default: the measured difference is compared.",
    )

    @model_validator(mode="after")
    def _bounded(self) -> "ChangeBounds":
        _require_bounds(self.at_least, self.at_most)
        if self.relative and self.confidence is not None:
            raise ValueError("confidence is of a difference: leave out relative, or confidence")
        return self


class Threshold(Frozen):
    """A requirement on one metric.

    `metric` is one of the task's: accuracy, macro_f1, log_loss and so on for one class per image
    (see `docs/gates.md` for those of each task); or that of a class, written `recall/Forest`; or
    `recall/*` for that of every class.

    `gap:` before a metric means its difference between the best and the worst slice of those that
    `slice` covers: `gap:accuracy` with `slice: region`.

    `slice` is `overall`, one slice (`region=north`) or every value of a feature (`region`);
    crossed features are joined by commas, and a comma within a value has a backslash before it.
    Slices and classes with fewer than `min_examples` examples are skipped if the threshold covers
    all of them, and count as missing if it names one.
    """

    metric: str = Field(
        description="A metric of the task or of a class: recall/Forest, or recall/* for every "
        "class; gap:METRIC is its difference between the best and the worst slice."
    )
    slice: str = Field(
        default=OVERALL,
        description="overall, one slice (region=north), or every value of a feature (region); "
        "escape a comma within a value with a backslash.",
    )
    at_least: FiniteFloat | None = Field(default=None, description="Least value of the candidate.")
    at_most: FiniteFloat | None = Field(default=None, description="Largest value of the candidate.")
    change: ChangeBounds | None = Field(
        default=None, description="Bounds on the difference from the served version."
    )
    min_examples: int = Field(
        default=1, ge=1, description="Least number of examples of a slice or class that is judged."
    )

    @field_validator("metric")
    @classmethod
    def _composed(cls, metric: str) -> str:
        return composed(metric)

    @field_validator("slice")
    @classmethod
    def _canonical(cls, text: str) -> str:
        try:
            return str(parse_selector(composed(text)))
        except Exception as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _bounded(self) -> "Threshold":
        if self.change is None or self.at_least is not None or self.at_most is not None:
            _require_bounds(self.at_least, self.at_most)
        return self

    @model_validator(mode="after")
    def _gaps_are_between_slices(self) -> "Threshold":
        if self.is_gap and (
            not parse_selector(self.slice).is_open or self.change or self.class_name == "*"
        ):
            raise ValueError(
                f"{self.metric} is the gap between the slices of a feature: give slice a feature "
                "without a value, a metric or one class's (gap:recall/Forest), and no change"
            )
        return self

    @property
    def is_gap(self) -> bool:
        """True for a threshold on the difference between the best and the worst slice."""
        return self.metric.startswith(_GAP)

    @property
    def measured(self) -> str:
        """Metric that is measured on each slice."""
        return self.metric.removeprefix(_GAP)

    @property
    def kind(self) -> str:
        """Metric without the class."""
        return self.measured.partition("/")[0]

    @property
    def class_name(self) -> str | None:
        """Class of the metric, `*` for every one; None for a metric over all classes."""
        return self.measured.partition("/")[2] or None


def _require_bounds(at_least: float | None, at_most: float | None) -> None:
    if at_least is None and at_most is None:
        raise ValueError("a threshold needs a bound: give at_least, at_most or both")
    if at_least is not None and at_most is not None and at_least > at_most:
        raise ValueError(f"at_least {at_least} is above at_most {at_most}: nothing can pass")


def _features(value: Any) -> Any:
    """Accepts one feature as plain text, a cross as a list."""
    return (value,) if isinstance(value, str) else value


SliceFeatures = Annotated[tuple[str, ...], BeforeValidator(_features), Field(min_length=1)]


class EvaluationConfig(Frozen):
    """Evaluation of a candidate: slices, thresholds and allowances.

    `metrics` are user-defined ones, beside those of the task. `decisions` are thresholds on the
    score of a class, for all tasks but regression.

    `slices` lists features by which the metrics are broken down: a manifest's column (`region`),
    any feature of the examples (`label/text`), or a list of them to cross. `bins` cuts numeric
    features into intervals (feature: ascending edges).

    `allow` lists what may pass: `missing_baseline`, `unusable_baseline`, `task_changed`,
    `classes_changed`, `unknown_labels`, `missing_slice:region=north`, `nan:log_loss` or
    `nan:log_loss@region=north`. Anything else stops the run.
    """

    split: str = Field(
        default="test", min_length=1, description="Split on which metrics are measured."
    )
    slices: tuple[SliceFeatures, ...] = Field(
        default=(),
        description="Features by which metrics are broken down: a name, or a list of names to "
        "cross.",
    )
    bins: Mapping[str, tuple[FiniteFloat, ...]] = Field(
        default={},
        description="Ascending edges of the intervals into which a numeric feature is cut, by "
        "feature.",
    )
    metrics: tuple[CustomMetric, ...] = Field(
        default=(), description="Your own metrics, in addition to those of the task."
    )
    thresholds: tuple[Threshold, ...] = Field(
        default=(), description="Requirements on metrics; the run stops if one is not met."
    )
    decisions: tuple[DecisionConfig, ...] = Field(
        default=(),
        description="Classes for which to find the threshold on the probability (for boxes, on "
        "the score) that gives a precision or a recall: {class: Forest, precision: "
        "0.95}. With masks this costs one further prediction for each example.",
    )
    allow: tuple[str, ...] = Field(
        default=(),
        description="Findings that do not stop the run, such as missing_baseline or nan:log_loss.",
    )
    corruptions: tuple[CorruptionName, ...] = Field(
        default=(),
        description="Corruptions of the examples' images at three strengths, each a slice such "
        "as corruption=haze,strength=2. This costs three further predictions for "
        "each example and corruption.",
    )
    batch_size: int = Field(
        default=32, ge=1, le=4096, description="Examples in one call of the model."
    )
    score_threshold: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="For detection: least score of an object that counts in precision, recall and "
        "F1.",
    )

    @field_validator("slices")
    @classmethod
    def _sorted(cls, slices: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        for features in slices:
            if len(set(features)) < len(features):
                raise ValueError(f"{list(features)} crosses a feature with itself: name each once")
            if any(not name or set(name) & set(",=") for name in features):
                raise ValueError(f"{list(features)}: the name of a feature has no comma and no `=`")
            if CORRUPTION in features:
                raise ValueError(f"{CORRUPTION} names the slices of evaluation.corruptions")
        return tuple(dict.fromkeys(tuple(sorted(features)) for features in slices))

    @field_validator("bins")
    @classmethod
    def _ascending(cls, bins: Mapping[str, tuple[float, ...]]) -> Mapping[str, tuple[float, ...]]:
        for name, edges in bins.items():
            if not edges or list(edges) != sorted(set(edges)):
                raise ValueError(f"{name}: {list(edges)} must be one or more ascending edges")
        return bins

    @field_validator("metrics")
    @classmethod
    def _named_once(cls, metrics: tuple[CustomMetric, ...]) -> tuple[CustomMetric, ...]:
        names = [each.name for each in metrics]
        for name in names:
            if tasks_with(name):
                raise ValueError(f"{name} is a metric of {tasks_with(name)[0]}: take another name")
            if names.count(name) > 1:
                raise ValueError(f"two metrics have the name {name}")
        return metrics

    @field_validator("thresholds")
    @classmethod
    def _known(
        cls, thresholds: tuple[Threshold, ...], info: ValidationInfo
    ) -> tuple[Threshold, ...]:
        own = [each.name for each in info.data.get("metrics", ())]
        known = "; ".join(f"for {task}: {evaluated_task(task).vocabulary()}" for task in TASKS)
        faults = [
            InitErrorDetails(
                type=PydanticCustomError(
                    "metric",
                    "unknown metric {metric}: use {known}, or one of evaluation.metrics",
                    {"metric": repr(each.metric), "known": known},
                ),
                loc=(number, "metric"),
                input=each.metric,
            )
            for number, each in enumerate(thresholds)
            if each.measured not in own and not tasks_with(each.measured)
        ]
        if faults:
            raise ValidationError.from_exception_data("thresholds", faults)
        return thresholds

    @field_validator("thresholds")
    @classmethod
    def _confident(cls, thresholds: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
        headlines = [evaluated_task(task).headline for task in TASKS]
        for each in thresholds:
            if each.change and each.change.confidence and each.metric not in headlines:
                raise ValueError(
                    f"change.confidence of {each.metric}: only the main metric of a task has an "
                    f"interval, which is one of {', '.join(headlines)}"
                )
        return thresholds

    @field_validator("corruptions")
    @classmethod
    def _once(cls, corruptions: tuple[CorruptionName, ...]) -> tuple[CorruptionName, ...]:
        return tuple(dict.fromkeys(corruptions))

    @field_validator("allow")
    @classmethod
    def _allowable(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for entry in allow:
            kind, colon, rest = entry.partition(":")
            if not re.fullmatch(_ALLOWANCES.get(kind, r"(?!)"), colon + rest):
                raise ValueError(
                    f"{entry!r} cannot be allowed: name missing_baseline, unusable_baseline, "
                    "task_changed, classes_changed, unknown_labels, missing_slice:<slice>, "
                    "nan:<metric> or nan:<metric>@<slice>"
                )
        return allow

    @model_validator(mode="after")
    def _consistent(self) -> "EvaluationConfig":
        for threshold in self.thresholds:
            features = parse_selector(threshold.slice).features
            made = (CORRUPTION, STRENGTH) if self.corruptions else None
            if features and features != made and features not in self.slices:
                raise ValueError(
                    f"a threshold on {threshold.metric} names the slice {threshold.slice!r}, "
                    f"but slices has no {list(features)}: add it there"
                )
        unused = set(self.bins) - set(self.slice_features)
        if unused:
            raise ValueError(
                f"bins has {sorted(unused)}, and slices has not: add them there, or remove the bins"
            )
        return self

    @property
    def slice_features(self) -> tuple[str, ...]:
        """Slice features, each once."""
        return tuple(dict.fromkeys(name for features in self.slices for name in features))

    @property
    def confidences(self) -> tuple[float, ...]:
        """Confidences that thresholds ask for, each once."""
        changes = (threshold.change for threshold in self.thresholds)
        found = (change.confidence for change in changes if change is not None)
        return tuple(dict.fromkeys(it for it in found if it is not None))

    def wrong_metrics(self, task: Task) -> tuple[str, ...]:
        """Returns the thresholds' metrics that a task does not have, each once."""
        evaluated = evaluated_task(task)
        own = {each.name for each in self.metrics}
        metrics = (threshold.measured for threshold in self.thresholds)
        metrics = (name for name in metrics if name not in own)
        return tuple(dict.fromkeys(name for name in metrics if not evaluated.measures(name)))
