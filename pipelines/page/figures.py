"""Figures of a run's page: each a chart with its heading, legend and a note."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from components.evaluation.decisions import Decision
from components.evaluation.result import EvaluationResult
from components.evaluation.slices import CORRUPTION
from components.evaluation.tasks.bootstrap import FEWEST_UNITS
from components.evaluation.tasks.calibration import ReliabilityBin
from components.evaluation.tasks.measures import class_metric, wilson_interval
from components.evaluation.tasks.registry import evaluated_task
from pipelines.page.charts.bars import (
    Histogram,
    ReliabilityPoint,
    count_chart,
    density_chart,
    reliability_chart,
)
from pipelines.page.charts.forest import ForestRow, forest_chart
from pipelines.page.charts.lines import SERIES, Line, line_chart
from pipelines.page.charts.places import BANDS, is_gathered, place_chart
from pipelines.page.content import CurveRow
from pipelines.page.curves import panels_of
from pipelines.page.evidence import ClassCurve, ConfidenceBin, PageEvidence

#: Longest forest plot, in rows.
_MOST_ROWS = 40
_MOST_CURVES = len(SERIES)
_CLASS_METRICS = 2
#: Titles of the metrics of classes whose names are abbreviations.
_TITLES = {"iou": "IoU", "average_precision_50": "average precision at 0.5"}

#: Names of the models in metrics.json.
_CANDIDATE, _BASELINE = "candidate", "baseline"

#: A style sheet's class, and the text that explains it.
Key = tuple[str, str]


@dataclass(frozen=True)
class Figure:
    """A chart with its heading, legend and note."""

    title: str
    chart: Markup
    keys: Sequence[Key] = ()
    note: str = ""


def training_figures(curve: Sequence[CurveRow]) -> list[Figure]:
    """Draws each measure by epoch, on the train and on the eval split."""
    return [_training_figure(curve, name) for name in panels_of(curve)]


def evaluation_figures(evaluation: EvaluationResult) -> Iterator[Figure]:
    """Draws the metrics: of the slices, of corrupted copies, and of the classes."""
    yield from filter(None, (_slices_figure(evaluation), _robustness_figure(evaluation)))
    yield from _class_figures(evaluation)


def _slices_figure(evaluation: EvaluationResult) -> Figure | None:
    """Draws the headline metric of each slice with its interval, and the served model's."""
    evaluated = evaluated_task(evaluation.task)
    rows = [
        ForestRow(
            item.name,
            item.examples,
            item.candidate.get(evaluated.headline, math.nan),
            item.interval,
            (item.baseline or {}).get(evaluated.headline),
            strong=not item.key,
        )
        for item in evaluation.slices
        if CORRUPTION not in dict(item.key)
    ]
    if not any(math.isfinite(row.value) for row in rows):
        return None
    keys = [("s0", _this_model(rows))]
    if any(row.other is not None for row in rows):
        keys.append(("s1", f"served version {evaluation.baseline_version}"))
    name = f"{evaluated.title} by slice"
    chart = forest_chart(name, rows[:_MOST_ROWS], evaluated.title)
    note = f"{_without_interval(evaluation)} {_more(rows, 'slices')}".strip()
    return Figure(f"{_capital(evaluated.title)} by slice", chart, keys, note)


def _without_interval(evaluation: EvaluationResult) -> str:
    """Returns a sentence on slices without an interval, where others have one."""
    slices = [it for it in evaluation.slices if CORRUPTION not in dict(it.key)]
    if all(it.interval for it in slices) or not any(it.interval for it in slices):
        return ""
    units = "groups" if any(it.groups is not None for it in slices) else "examples"
    return f"Slices of fewer than {FEWEST_UNITS} {units} have no interval."


def _robustness_figure(evaluation: EvaluationResult) -> Figure | None:
    """Draws the headline metric by the strength of each corruption of the examples."""
    curves = {
        name: [math.nan if it is None else it for it in curve]
        for name, curve in evaluation.corruption_curves.items()
    }
    if not curves:
        return None
    shown = sorted(curves, key=lambda name: (_least(curves[name]), name))[: len(SERIES)]
    title = evaluated_task(evaluation.task).title
    chart = line_chart(
        f"{title} by strength of corruption",
        [Line(name, list(enumerate(curves[name])), dots=True) for name in shown],
        "strength of corruption (0: none)",
        title,
    )
    note = "The others do less harm." if len(shown) < len(curves) else ""
    return Figure("Robustness", chart, keyed(shown), note)


def _class_figures(evaluation: EvaluationResult) -> Iterator[Figure]:
    """Draws the first metrics of the classes, with their intervals."""
    overall = evaluation.overall
    if overall is None or len(evaluation.classes) < 2:
        return
    for metric in evaluated_task(evaluation.task).class_metrics[:_CLASS_METRICS]:
        rows = [
            ForestRow(
                name,
                overall.support(name),
                overall.candidate.get(class_metric(metric, name), math.nan),
                overall.class_intervals.get(class_metric(metric, name)),
                (overall.baseline or {}).get(class_metric(metric, name)),
            )
            for name in evaluation.classes
        ]
        if not any(math.isfinite(row.value) for row in rows):
            continue
        keys = [("s0", _this_model(rows))]
        if any(row.other is not None for row in rows):
            keys.append(("s1", f"served version {evaluation.baseline_version}"))
        title = _TITLES.get(metric, metric.replace("_", " "))
        chart = forest_chart(f"{title} by class", rows[:_MOST_ROWS], title, bars=True)
        yield Figure(f"{_capital(title)} by class", chart, keys, _more(rows, "classes"))


def confidence_figures(
    evaluation: EvaluationResult | None, bins: Sequence[ConfidenceBin]
) -> Iterator[Figure]:
    """Draws the share of right answers by confidence, and the count of each confidence."""
    if evaluation and (ours := evaluation.reliability.get(_CANDIDATE)):
        yield _reliability_figure(evaluation, ours, evaluation.reliability.get(_BASELINE, ()))
    if bins:
        edges = [bins[0].low, *(it.high for it in bins)]
        right = Histogram(edges, [it.right for it in bins])
        wrong = Histogram(edges, [it.wrong for it in bins])
        chart = count_chart(
            "answers by confidence", [("right", right), ("wrong", wrong)], "confidence", "answers"
        )
        keys = [("right", f"right ({right.total:,.0f})"), ("wrong", f"wrong ({wrong.total:,.0f})")]
        yield Figure("Confidence", chart, keys, f"{right.total + wrong.total:,.0f} answers.")


def curve_figures(curves: Sequence[ClassCurve], decisions: Sequence[Decision]) -> list[Figure]:
    """Draws precision by recall, and the rates, of classes with a decision or hard to tell apart.

    A ring marks the threshold of a decision.
    """
    if not curves:
        return []
    marks = {it.name: _marks(it.name, decisions) for it in curves}
    shown = sorted(curves, key=lambda it: (not marks[it.name], it.average_precision, it.name))
    shown = shown[:_MOST_CURVES]
    notes = []
    if len(curves) > len(shown):
        first = "those with a decision, then " if any(marks.values()) else ""
        notes.append(f"{len(shown)} of {len(curves)} classes: {first}the least average precision.")
    if any(marks.values()):
        notes.append("Rings: the thresholds of the decisions.")
    note = " ".join(notes)
    precision = line_chart(
        "precision by recall of each class",
        [Line(it.name, it.precision_recall, marks=marks[it.name]) for it in shown],
        "recall",
        "precision",
        x=(0, 1),
        y=(0, 1),
    )
    rates = line_chart(
        "recall by false positive rate of each class",
        [Line(it.name, it.rates) for it in shown],
        "false positive rate",
        "recall",
        x=(0, 1),
        y=(0, 1),
        diagonal=True,
    )
    precisions = [f"{it.name}: average precision {it.average_precision:.3f}" for it in shown]
    areas = [f"{it.name}: area {it.area:.3f}" for it in shown]
    figures = [Figure("Precision and recall", precision, keyed(precisions), note)]
    if any(it.rates for it in shown):
        figures.append(Figure("Receiver operating characteristic", rates, keyed(areas), note))
    return figures


def drift_figures(evidence: PageEvidence) -> list[Figure]:
    """Draws the distribution of each feature before and after."""
    before, after = evidence.drift_of
    return [
        Figure(
            it.name,
            density_chart(
                f"distribution of {it.name}: {before}, {after}",
                [("s0", it.before), ("s1", it.after)],
                it.name,
            ),
            [
                ("s0", f"{before} ({it.before.total:,.0f})"),
                ("s1", f"{after} ({it.after.total:,.0f})"),
            ],
        )
        for it in evidence.drift
    ]


def map_figure(evidence: PageEvidence, split: str) -> Figure | None:
    """Draws the places of the examples, coloured by their scores."""
    if not evidence.places:
        return None
    both = all(it.score in (0, 1) for it in evidence.places)
    gathered = is_gathered(evidence.places)
    if both and not gathered:
        keys = [("q4", "right"), ("q0", "wrong")]
    else:
        keys = [
            (f"q{band}", f"{band / BANDS:.1f} to {(band + 1) / BANDS:.1f}")
            for band in reversed(range(BANDS))
        ]
    note = f"{evidence.place_count:,} examples of the {split} split, by their score."
    if gathered:
        note = f"Mean score of each square. {note}"
    if len(evidence.places) < evidence.place_count:
        note += f" {len(evidence.places):,} of them are drawn, chosen at random."
    chart = place_chart(f"map of the {split} split", evidence.places)
    return Figure("Examples by place", chart, keys, note)


def keyed(names: Sequence[str]) -> list[Key]:
    """Pairs names with the styles of the series, in order."""
    return list(zip(SERIES, names, strict=False))


def _least(values: Sequence[float]) -> float:
    return min((value for value in values if math.isfinite(value)), default=math.inf)


def _training_figure(curve: Sequence[CurveRow], name: str) -> Figure:
    lines = [
        Line(split, [(row["epoch"], row[series]) for row in curve if series in row], dots=True)
        for series, split in ((name, "train"), (f"val_{name}", "eval"))
    ]
    lines = [line for line in lines if line.points]
    title = name.replace("_", " ")
    chart = line_chart(f"{title} by epoch", lines, "epoch", title)
    names = [line.name for line in lines] if len(lines) > 1 else []
    return Figure(_capital(title), chart, keyed(names))


def _marks(name: str, decisions: Sequence[Decision]) -> list[tuple[float, float]]:
    """Returns recall and precision at the thresholds of a class's decisions."""
    return [
        (it.recall, it.precision)
        for it in decisions
        if it.class_name == name and it.recall is not None and it.precision is not None
    ]


def _reliability_figure(
    evaluation: EvaluationResult, ours: Sequence[ReliabilityBin], served: Sequence[ReliabilityBin]
) -> Figure:
    independent = _counts_examples(evaluation)
    chart = reliability_chart(
        "share of right answers by confidence",
        [_reliability(it, independent) for it in ours],
        [_reliability(it, False) for it in served],
    )
    keys = [("s0", "share right" + (", with its 95 % interval" if independent else ""))]
    if served:
        keys.append(("s1", f"served version {evaluation.baseline_version}"))
    keys.append(("reference", "perfect calibration"))
    note = "Below the dashed line a model is overconfident."
    return Figure("Reliability", chart, keys, note)


def _reliability(it: ReliabilityBin, independent: bool) -> ReliabilityPoint:
    interval = wilson_interval(it.accuracy * it.count, it.count) if independent else None
    return ReliabilityPoint(it.low, it.high, it.count, it.confidence, it.accuracy, interval)


def _counts_examples(evaluation: EvaluationResult) -> bool:
    """Checks whether the confusion matrix counts independent examples, not groups or pixels."""
    overall = evaluation.overall
    if overall is None or overall.groups is not None:
        return False
    return int(np.array(evaluation.confusion).sum()) == overall.examples


def _this_model(rows: Sequence[ForestRow]) -> str:
    return "this model" + (", with its 95 % interval" if any(it.interval for it in rows) else "")


def _more(rows: Sequence[ForestRow], noun: str) -> str:
    more = len(rows) - _MOST_ROWS
    return f"{more:,} more {noun} are in metrics.json." if more > 0 else ""


def _capital(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]  # mAP stays
