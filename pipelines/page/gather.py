"""Evidence of a page, gathered from the artifacts of a run."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.evaluation.model import EvaluatedModel
from components.evaluation.predictions import PredictionRow, PredictionTable
from components.label_audit.issues import LabelIssue
from components.node.files import PREDICTIONS_FILE, STATISTICS_FILE, split_folder
from components.node.records import shards
from components.raster.pictures.sheet import legend_of
from components.raster.task import SINGLE_LABEL, Task
from components.statistics.feature_stats import read as read_statistics
from pipelines.page.drift import feature_drift
from pipelines.page.evidence import (
    ExampleGroup,
    FeatureDrift,
    PageEvidence,
    ShownExample,
    Thumbnail,
)
from pipelines.page.geojson import GEOJSON_FILE, write_geojson
from pipelines.page.predicted import Choice, PredictionTally, known
from pipelines.page.scored import scored_curves
from pipelines.page.suspects import of_examples, suspects_of_split
from pipelines.page.thumbnails import answers_in_pictures, draw_examples, read_examples
from serving.contract.contract import CONTRACT_PATH, read_contract

_TRAIN = "train"


@dataclass(frozen=True)
class Sources:
    """Folders of a run's artifacts.

    Attributes:
        split: name of the evaluated split.
        examples: the examples, with all splits.
        model: the SavedModel.
        evaluation: the evaluation, with its predictions.
        statistics: the statistics, with all splits.
        served_statistics: file of the statistics of the data that the served version learnt from.
    """

    split: str
    examples: str
    model: str
    evaluation: str
    statistics: str
    served_statistics: str | None = None


def gather(sources: Sources, folder: str) -> PageEvidence:
    """Gathers what a page draws; writes the map's GeoJSON into `folder` if examples have places.

    An evaluation without predictions, since the model failed, leaves only the drift.
    """
    drift_of, drift = _drift(sources)
    path = Path(sources.evaluation, PREDICTIONS_FILE)
    if not path.exists():
        return PageEvidence(drift=drift, drift_of=drift_of)
    predictions = PredictionTable(path)
    head = predictions.head
    several = None if head.task == SINGLE_LABEL else head.names
    tally = PredictionTally(head.classes, several).add_all(predictions.without_details())
    if tally.place_count:
        with open(os.path.join(folder, GEOJSON_FILE), "w", encoding="utf-8") as file:
            write_geojson(predictions.without_probabilities(), file)
    groups = [(group, rows) for group, rows in _groups(tally, sources.split) if rows]
    issues, audited = suspects_of_split(path)
    suspicious = of_examples(issues, Choice().suspicious)
    keys = [row.key for _, rows in groups for row in rows]
    examples = _examples(sources, [*keys, *suspicious])
    served = _served(sources, head.task) if examples else None
    thumbnails = _thumbnails(sources, examples, {row.key for row in tally.worst}, served)
    legend = [
        (name, f"#{red:02x}{green:02x}{blue:02x}")
        for name, (red, green, blue) in legend_of(head.classes)
    ]
    return PageEvidence(
        confidence=tally.confidence,
        curves=tally.curves or scored_curves(predictions),
        places=tally.places,
        place_count=tally.place_count,
        groups=(
            *(
                replace(group, examples=tuple(_shown(row, thumbnails) for row in rows))
                for group, rows in groups
            ),
            *_suspects(predictions, suspicious, thumbnails, sources.split, audited),
        ),
        legend=tuple(legend) if any(len(it) > 2 for it in thumbnails.values()) else (),
        drift=drift,
        drift_of=drift_of,
    )


def _groups(
    tally: PredictionTally, split: str
) -> Iterator[tuple[ExampleGroup, Sequence[PredictionRow]]]:
    """Yields the groups, empty as yet, with the rows of their examples."""
    worst = f"Wrong answers of the {split} split: the lowest score first, then the largest loss."
    yield ExampleGroup("Worst mistakes", worst, ()), tally.worst
    uncertain = f"Answers of the {split} split with the least confidence."
    yield ExampleGroup("Most uncertain", uncertain, ()), tally.uncertain
    by_lot = f"A random sample of the {split} split."
    for name, rows in tally.sheet:
        yield ExampleGroup(name or "Examples", by_lot, (), of_class=bool(name)), rows


def _suspects(
    predictions: PredictionTable,
    issues: Mapping[str, LabelIssue],
    thumbnails: Mapping[str, tuple[Thumbnail, ...]],
    split: str,
    audited: int,
) -> Iterator[ExampleGroup]:
    """Yields the group of suspected label errors, if there are any, the most suspicious first."""
    if not issues:
        return
    rows = {row.key: row for row in predictions.without_probabilities() if row.key in issues}
    note = (
        f"Labels in the {split} split that the model, which never saw them, contradicts: the most "
        f"suspicious of {audited:,} examples. They may be right. All of them: skymill labels audit."
    )
    shown = (
        replace(
            _shown(rows[key], thumbnails),
            confidence=it.confidence,
            suggested=it.suggested,
            detail=it.detail,
        )
        for key, it in issues.items()
        if key in rows
    )
    yield ExampleGroup("Suspected label errors", note, tuple(shown))


def _examples(sources: Sources, keys: Iterable[str]) -> dict[str, bytes]:
    """Reads the examples with these keys, each once, in their order; none without a contract."""
    if not os.path.exists(os.path.join(sources.model, CONTRACT_PATH)):
        return {}
    wanted = tuple(dict.fromkeys(keys))
    found = read_examples(shards(split_folder(sources.examples, sources.split)), wanted)
    return {key: found[key] for key in wanted if key in found}


def _served(sources: Sources, task: Task) -> EvaluatedModel | None:
    return EvaluatedModel(sources.model) if answers_in_pictures(task) else None


def _thumbnails(
    sources: Sources,
    examples: Mapping[str, bytes],
    explained: Collection[str],
    served: EvaluatedModel | None,
) -> dict[str, tuple[Thumbnail, ...]]:
    if not examples:
        return {}
    contract = read_contract(Path(sources.model))
    return draw_examples(examples, contract, sources.model, explained, served)


def _shown(row: PredictionRow, thumbnails: Mapping[str, tuple[Thumbnail, ...]]) -> ShownExample:
    return ShownExample(
        key=row.key,
        pictures=thumbnails.get(row.key, ()),
        truth=row.truth or "",
        answer=row.answer or "",
        confidence=known(row.confidence),
        score=known(row.score),
    )


def _drift(sources: Sources) -> tuple[tuple[str, str], tuple[FeatureDrift, ...]]:
    """Returns what is compared, and how each feature is distributed on both sides."""

    def of_split(name: str) -> str:
        return os.path.join(split_folder(sources.statistics, name), STATISTICS_FILE)

    served = sources.served_statistics
    if served and os.path.exists(served):
        files, sides = (
            (served, of_split(_TRAIN)),
            ("data of the served version", "data of this run"),
        )
    else:
        files = (of_split(_TRAIN), of_split(sources.split))
        sides = (f"{_TRAIN} split", f"{sources.split} split")
    if not all(map(os.path.exists, files)):
        return ("", ""), ()
    before, after = map(read_statistics, files)
    return sides, feature_drift(before, after)
