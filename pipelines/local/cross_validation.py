"""Cross-validation by place: how much a metric depends on which places are held out."""

import hashlib
import json
import math
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from components.evaluation.compared_models import CANDIDATE, frames_of
from components.evaluation.config import EvaluationConfig
from components.evaluation.extracts import Model, Reading, observe
from components.evaluation.model import EvaluatedModel
from components.evaluation.tasks.registry import evaluated_task
from components.node.records import record_batches
from components.raster.file_state import state_of
from components.raster.only_process import only_process
from components.raster.spatial.grouping import Grouping
from components.raster.spatial.rules import ByBlock, ByScene
from pipelines.config.tree import PipelineConfig
from pipelines.definition.workspace import Workspace, WorkspaceBusyError
from pipelines.local.folds import Fold, trained_folds
from trainer.data.groups import read_grouping

By = Literal["split", "block", "scene"]


@dataclass(frozen=True)
class FoldMetrics:
    """Metrics of the model of one fold on the examples that it was not trained on."""

    fold: int
    examples: int
    units: int
    headline: str
    metrics: Mapping[str, float]

    @property
    def value(self) -> float:
        """The task's main metric; NaN where undefined."""
        return self.metrics.get(self.headline, math.nan)


@dataclass(frozen=True)
class FoldSpread:
    """A metric over folds: mean, standard deviation between folds, least and greatest."""

    mean: float
    deviation: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> FoldSpread:
    """Returns the spread of the values that are numbers.

    >>> found = spread([0.8, 0.9, 0.7])
    >>> round(found.mean, 3), round(found.deviation, 3), found.least, found.greatest
    (0.8, 0.1, 0.7, 0.9)
    """
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return FoldSpread(math.nan, math.nan, math.nan, math.nan)
    deviation = statistics.stdev(known) if len(known) > 1 else math.nan
    return FoldSpread(statistics.fmean(known), deviation, min(known), max(known))


def cross_validate(
    config: PipelineConfig,
    examples: str,
    folds: int,
    environment: Mapping[str, str],
    by: By = "split",
    block_m: float = 1000.0,
    on_fold: Callable[[Fold], None] = lambda fold: None,
) -> Iterator[FoldMetrics]:
    """Trains on all but each fold, and yields its metrics on that fold.

    The metrics of each fold that has ended are kept in the workspace until all have. A
    cross-validation of the same examples and configuration that was stopped takes them from there.

    Args:
        config, examples, folds, environment: as for `trained_folds`.
        by: unit that shares a fold: the unit of the split, a block of ground, or a scene.
        block_m: side of a block in metres.
        on_fold: called when a fold's model is trained.

    Raises:
        WorkspaceBusyError: another process cross-validates the same examples and configuration.
    """
    kept = _place_of(config, examples, [folds, by, block_m])
    busy = WorkspaceBusyError(
        f"another cross-validation of the same examples and settings is in progress in {kept}. "
        "Wait for it, or give this one another `workspace`."
    )
    with only_process(kept.with_suffix(".lock"), busy):
        rows = _kept_rows(kept)
        yield from rows
        ended = {row.fold for row in rows}
        grouping = _grouping(examples, by, block_m)
        for fold in trained_folds(config, examples, folds, environment, grouping, ended):
            on_fold(fold)
            headline, metrics = measure(config.evaluation, fold.model, fold.held_out)
            row = FoldMetrics(fold.number, fold.examples, fold.units, headline, metrics)
            _keep(kept, row)
            yield row
        shutil.rmtree(kept)


def _place_of(
    config: PipelineConfig, examples: str, assignment: Sequence[int | float | str]
) -> Path:
    """Returns the folder for the folds of the same examples, configuration and assignment."""
    files = sorted(it for it in Path(examples).rglob("*") if it.is_file())
    facts = [
        [(str(file), str(state_of(str(file)))) for file in files],
        assignment,
        config.ingest.task,
        config.ingest.image.model_dump(mode="json"),
        config.train.facts(),
        config.evaluation.model_dump(mode="json"),
    ]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return Path(Workspace(config.workspace).folds, digest)


def _keep(folder: Path, row: FoldMetrics) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "partial"
    partial.write_text(json.dumps(asdict(row)), encoding="utf-8")
    partial.rename(folder / f"{row.fold}.json")


def _kept_rows(folder: Path) -> list[FoldMetrics]:
    """Returns the folds of a stopped cross-validation that have ended."""
    texts = (path.read_text(encoding="utf-8") for path in folder.glob("*.json"))
    rows = [FoldMetrics(**json.loads(text)) for text in texts]
    return sorted(rows, key=lambda row: row.fold)


def measure(config: EvaluationConfig, model_dir: str, path: str) -> tuple[str, Mapping[str, float]]:
    """Returns the name of a model's main metric, and its metrics with one value over all examples
    of a TFRecord file."""
    served = EvaluatedModel(model_dir)
    evaluated, reading, tally = evaluated_task(served.task), None, None
    for batch in record_batches(path, size=config.batch_size):
        if reading is None:
            model = Model(CANDIDATE, model_dir, served.classes(batch[0]), served.image)
            frames = frames_of([model], config.score_threshold)
            reading = Reading(frames, (), {}, config.batch_size, served.task)
            tally = evaluated.empty(len(frames[CANDIDATE].space))
        answers = served.answers(batch)
        for row, serialized in enumerate(batch):
            answer = {name: values[row] for name, values in answers.items()}
            example = observe(serialized, {CANDIDATE: answer}, reading, Grouping())
            evaluated.add(tally, *example.observations[CANDIDATE], example.seed)
    return evaluated.headline, {} if tally is None else evaluated.overall(tally)


def _grouping(examples: str, by: By, block_m: float) -> Grouping:
    found = read_grouping(examples)
    if by == "block":
        return Grouping(ByBlock(block_m=block_m), found.groups)
    return Grouping(ByScene(), found.groups) if by == "scene" else found
