"""Comparison of two runs of this machine: configuration, data, metrics, and the same examples."""

import heapq
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from components.evaluation.paired import sign_test
from components.evaluation.predictions import PredictionRow, PredictionTable
from components.node.files import PREDICTIONS_FILE
from components.raster.errors import DataError
from components.raster.messages import first_line
from pipelines.local.record import CONFIG_FILE, RunRecord

_SUMMARY_FILE = "summary.json"
_MOST_EXAMPLES = 20


@dataclass(frozen=True)
class Difference:
    """A value of both runs, by its name; None where a run lacks it."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class MetricPair:
    """A metric over all examples of both runs, with 95 % intervals where they exist."""

    name: str
    a: float | None
    b: float | None
    a_interval: tuple[float, float] | None = None
    b_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Flip:
    """An example that one run answered better than the other.

    Attributes:
        change: rise of the score from the first run to the second; for numbers, fall of the
            absolute error.
    """

    key: str
    truth: str | None
    a: str | None
    b: str | None
    change: float


@dataclass(frozen=True)
class Examples:
    """The evaluated examples of both runs, matched by their keys.

    Attributes:
        common: examples that both runs evaluated, with the same truth.
        other_truth: examples that both evaluated with different truth; they are not compared.
        only_a: examples of the first run alone.
        only_b: examples of the second run alone.
        better: examples that the second run answered better.
        worse: examples that the second run answered worse.
        p_value: of the hypothesis that a change is as likely to be for the better as for the
            worse, by the sign test; None where examples share groups, and are not independent.
        flips: those that changed most.
    """

    common: int
    other_truth: int
    only_a: int
    only_b: int
    better: int
    worse: int
    p_value: float | None
    flips: tuple[Flip, ...]


@dataclass(frozen=True)
class RunComparison:
    """Two runs, the first and the second; only what differs, except for the metrics.

    Attributes:
        configuration: settings that differ, by their path.
        data: fingerprint, span and counts that differ.
        metrics: over all examples of the evaluated split.
        examples: None where a run has no table of predictions.
    """

    a: str
    b: str
    configuration: tuple[Difference, ...]
    data: tuple[Difference, ...]
    metrics: tuple[MetricPair, ...]
    examples: Examples | None = None
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> str:
        """Returns the comparison as strict JSON."""
        return json.dumps(
            asdict(self),
            indent=1,
            ensure_ascii=False,
            allow_nan=False,
            default=str,  # YAML has dates
        )


def compare_runs(runs: Sequence[tuple[RunRecord, str]]) -> RunComparison:
    """Compares two runs, each given by its record and its folder.

    Raises:
        DataError: a file of a run is damaged.
    """
    (first, _), (second, _) = runs
    configs = [_config(folder) for _, folder in runs]
    summaries = [_summary(folder) for _, folder in runs]
    notes = [
        f"{record.run_id} has no {what}"
        for (record, _), config, summary in zip(runs, configs, summaries, strict=True)
        for what, found in ((CONFIG_FILE, config), (_SUMMARY_FILE, summary))
        if not found
    ]
    tables = [_predictions(record) for record, _ in runs]
    missing = [
        record.run_id for (record, _), table in zip(runs, tables, strict=True) if table is None
    ]
    notes += [f"{run_id} has no table of predictions" for run_id in missing]
    a, b = tables
    return RunComparison(
        first.run_id,
        second.run_id,
        configuration=differences(*configs),
        data=differences(*map(_data, [first, second], summaries)),
        metrics=tuple(_metrics(*map(_overall, summaries))),
        examples=None
        if a is None or b is None
        else compare_examples(a.without_probabilities(), b.without_probabilities()),
        notes=tuple(notes),
    )


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Returns the values that differ, by their paths in two trees of mappings.

    >>> differences({"train": {"epochs": 3, "seed": 1}}, {"train": {"epochs": 5, "seed": 1}})
    (Difference(name='train.epochs', a=3, b=5),)
    """
    first, second = dict(_leaves(a)), dict(_leaves(b))
    return tuple(
        Difference(name, first.get(name), second.get(name))
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    )


def compare_examples(a: Iterable[PredictionRow], b: Iterable[PredictionRow]) -> Examples:
    """Matches the rows of two tables, each in the order of its keys, as they are read."""
    common = other_truth = only_a = only_b = better = worse = 0
    independent = True
    most: list[tuple[float, int, Flip]] = []
    for ours, theirs in _matched(a, b):
        if theirs is None:
            only_a += 1
        elif ours is None:
            only_b += 1
        elif ours.truth != theirs.truth:
            other_truth += 1
        else:
            common += 1
            independent = independent and ours.group is None and theirs.group is None
            change = _change(ours, theirs)
            better, worse = better + (change > 0), worse + (change < 0)
            if change:
                flip = Flip(ours.key, ours.truth, ours.answer, theirs.answer, change)
                item = (abs(change), -common, flip)
                (heapq.heappush if len(most) < _MOST_EXAMPLES else heapq.heappushpop)(most, item)
    flips = tuple(flip for _, _, flip in sorted(most, key=lambda it: (-it[0], -it[1])))
    p_value = sign_test(better, worse) if independent else None
    return Examples(common, other_truth, only_a, only_b, better, worse, p_value, flips)


def _matched(
    a: Iterable[PredictionRow], b: Iterable[PredictionRow]
) -> Iterator[tuple[PredictionRow | None, PredictionRow | None]]:
    first, second = iter(a), iter(b)
    ours, theirs = next(first, None), next(second, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours.key < theirs.key):
            yield ours, None
            ours = next(first, None)
        elif ours is None or theirs.key < ours.key:
            yield None, theirs
            theirs = next(second, None)
        else:
            yield ours, theirs
            ours, theirs = next(first, None), next(second, None)


def _change(a: PredictionRow, b: PredictionRow) -> float:
    """Returns by how much the second answer is better; 0 where that is not known."""
    if a.score is not None and b.score is not None:
        change = b.score - a.score
    elif a.loss is not None and b.loss is not None:
        change = a.loss - b.loss
    else:
        return 0.0
    return change if math.isfinite(change) else 0.0


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{path}.{name}" if path else str(name))
    elif path:
        yield path, tree


def _config(folder: str) -> dict[str, Any]:
    import yaml

    path = os.path.join(folder, CONFIG_FILE)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        found = yaml.safe_load(file)
    return found if isinstance(found, dict) else {}


class _Metrics(BaseModel):
    """Metrics in a summary: an entry for each slice."""

    slices: list[dict[str, Any]] = []


class _Summary(BaseModel):
    """The part of a summary that is compared."""

    images: dict[str, Any] | None = None
    rejects: dict[str, Any] | None = None
    left_out: dict[str, Any] | None = None
    metrics: _Metrics | None = None


def _summary(folder: str) -> dict[str, Any]:
    path = os.path.join(folder, _SUMMARY_FILE)
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return _Summary.model_validate(found).model_dump()
    except ValueError as error:
        raise DataError(
            f"{path} is not a summary of a run ({first_line(error)}): it is damaged, or written by "
            "another program. Compare other runs, or run again"
        ) from error


def _data(record: RunRecord, summary: Mapping[str, Any]) -> dict[str, Any]:
    counts = {name: summary.get(name) or {} for name in ("images", "rejects", "left_out")}
    return {"fingerprint": record.fingerprint, "span": record.span, **counts}


def _overall(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entry of all examples in a summary's metrics; empty without any."""
    slices: list[dict[str, Any]] = (summary.get("metrics") or {}).get("slices", [])
    return next((it for it in slices if not it.get("features")), {})


def _metrics(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[MetricPair]:
    first, second = a.get("candidate", {}), b.get("candidate", {})
    names = dict.fromkeys([*first, *second])
    of_intervals = {f"{name}_{bound}" for name in names for bound in ("low", "high")}
    for name in names:
        if "/" not in name and name not in of_intervals:
            bounds = [side.get(f"{name}_interval") for side in (a, b)]
            intervals = [tuple(it) if it else None for it in bounds]
            yield MetricPair(name, first.get(name), second.get(name), *intervals)


def _predictions(record: RunRecord) -> PredictionTable | None:
    node = record.node("Evaluation")
    path = Path(node.uri("evaluation"), PREDICTIONS_FILE) if node else None
    return PredictionTable(path) if path is not None and path.exists() else None
