"""Shards of predictions: from a range of the listing to a file, without any framework."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from components.ingest.config import IngestConfig
from components.ingest.files import storage
from components.ingest.files.layout import ShardRange
from components.ingest.records.family import Convert
from components.ingest.records.outcome import Converted, Ignored
from components.ingest.records.reject import Reject, reject_lines
from components.ingest.records.summary import IngestSummary
from components.ingest.sources import family_of
from components.raster.ahead import one_ahead, several_ahead
from components.raster.reasons import Reason
from pipelines.prediction.model import Answers, ExampleModel, PinnedModel
from pipelines.prediction.output import PredictionPaths
from pipelines.prediction.places import places_of
from pipelines.prediction.table import (
    TilePlace,
    batch_of,
    metadata_of,
    write_examples,
    write_parquet,
)

#: Name under which a summary counts predictions.
PREDICTED = "predicted"
_WRITERS = {"parquet": write_parquet, "tfrecord": write_examples}


@dataclass(frozen=True)
class ShardJob:
    """Everything that a worker needs, in a form that every runner can send.

    Attributes:
        reading: an IngestConfig as JSON.
        classes: classes of the listing, which labelled records of custom sources name.
        model: the model.
        batch: number of images in a batch.
        paths: paths of the output.
    """

    reading: str
    classes: tuple[str, ...]
    model: PinnedModel
    batch: int
    paths: PredictionPaths

    def load(self, *, one_thread: bool = False) -> ExampleModel:
        """Loads the model; see `ExampleModel.load`."""
        return ExampleModel.load(self.model, one_thread=one_thread)

    def writer(self, model: ExampleModel) -> "ShardPredictor":
        """Returns the writer of shards."""
        return ShardPredictor(self, model)


class ShardPredictor:
    """Predicts shards; a finished one is not predicted again.

    Args:
        job: the work.
        model: `job.model`, loaded.
    """

    def __init__(self, job: ShardJob, model: ExampleModel) -> None:
        self._paths = job.paths
        config = IngestConfig.model_validate_json(job.reading)
        self._answerer = Answerer(config, job.classes, model, job.model, job.batch)

    def write(self, block: ShardRange) -> IngestSummary:
        """Reads the block's images and writes their predictions and rejects.

        Raises:
            DataError: the model itself fails.
        """
        paths, shard = self._paths, block.shard
        done = paths.summary_of(shard)
        if done is not None:
            return done
        rejects: list[Reject] = []
        ignored: Counter[str] = Counter()
        line = storage.read_range(paths.listing, block.offset, block.length)
        table = self._answerer.answers(line, rejects, ignored)
        write = partial(_WRITERS[paths.suffix], table=table)
        paths.publish(write, paths.result(paths.predictions_name(shard)))
        reasons = Counter(reject.reason.value for reject in rejects)
        summary = IngestSummary({}, {PREDICTED: table.num_rows}, reasons, ignored)
        paths.finish(shard, reject_lines(rejects), summary)
        return summary


class Answerer:
    """Predicts the images in a line of a listing.

    Args:
        config: settings by which ingest's families read the images.
        classes: classes of the listing, which labelled records of custom sources name.
        model: the loaded model.
        ref: its reference.
        batch: number of images in a batch.
    """

    def __init__(
        self,
        config: IngestConfig,
        classes: Sequence[str],
        model: ExampleModel,
        ref: PinnedModel,
        batch: int,
    ) -> None:
        self._model, self._ref, self._batch = model, ref, batch
        self._is_raster = config.source.is_raster
        self._convert: Convert = family_of(config.source).converter(config, classes)

    def answers(self, line: bytes, rejects: list[Reject], ignored: Counter[str]) -> pa.Table:
        """Returns the predictions of a line's images; adds to `rejects` and `ignored`.

        A thread reads the next batch, and others call the model, while this one makes rows of
        earlier answers.

        Raises:
            DataError: the model itself fails.
        """
        batches = []
        reads = one_ahead(_batches(self._convert(line), self._batch))
        for found in several_ahead(self._answer, reads, self._model.at_once):
            rejects += found.read.rejects
            ignored.update(found.read.ignored)
            if found.read.images:
                batches.append(self._rows(found))
        table = pa.Table.from_batches(batches or [self._rows(found)])
        facts = metadata_of(self._model.contract, self._ref.version, self._ref.identity)
        return table.replace_schema_metadata(facts)

    def _answer(self, read: "_Read") -> "_Answered":
        """Calls the model; adds the images that do not fit it to the batch's rejects."""
        batch: Sequence[Converted] = read.images
        places = places_of([it.example for it in batch]) if self._is_raster else None
        if places is not None:
            batch, places = self._like_training(batch, places, read.rejects)
        answers = self._model.answer([it.example for it in batch])
        for index, refusal in answers.refused.items():
            record = batch[index].record
            read.rejects.append(Reject(record.key, record.uri, refusal.reason, refusal.detail))
        return _Answered(read, batch, places, answers)

    def _rows(self, found: "_Answered") -> pa.RecordBatch:
        """Returns the predictions of a batch."""
        accepted = found.answers.accepted
        kept = [found.batch[index].record for index in accepted]
        return batch_of(
            [record.key for record in kept],
            [record.uri for record in kept],
            None if found.places is None else [found.places[index] for index in accepted],
            self._model.task.columns(found.answers.outputs),
            self._ref.version,
        )

    def _like_training(
        self, batch: Sequence[Converted], places: Sequence[TilePlace], rejects: list[Reject]
    ) -> tuple[list[Converted], list[TilePlace]]:
        """Keeps the tiles that have about the size and scale of the training's tiles."""
        trained = self._model.contract.tiles
        fitting = []
        for item, place in zip(batch, places, strict=True):
            known = None if place.gsd_m != place.gsd_m else place.gsd_m
            why = trained and trained.differ_from(place.height_px, place.width_px, known)
            if why:
                record = item.record
                rejects.append(Reject(record.key, record.uri, Reason.UNLIKE_TRAINING, why))
            else:
                fitting.append((item, place))
        return [item for item, _ in fitting], [place for _, place in fitting]


class _Read(NamedTuple):
    """A batch of images, and the rejects and ignored items read along with it."""

    images: list[Converted]
    rejects: list[Reject]
    ignored: Counter[str]


class _Answered(NamedTuple):
    """A batch that was read, its images that fit the model, and the answers to them."""

    read: _Read
    batch: Sequence[Converted]
    places: Sequence[TilePlace] | None
    answers: Answers


def _batches(
    outcomes: Iterator[Converted | Reject | Ignored], size: int
) -> Generator[_Read, None, None]:
    """Yields batches of `size` images; the last one is smaller, and may be empty."""
    read = _Read([], [], Counter())
    for outcome in outcomes:
        if isinstance(outcome, Converted):
            read.images.append(outcome)
        elif isinstance(outcome, Ignored):
            read.ignored[outcome.what] += 1
        else:
            read.rejects.append(outcome)
        if len(read.images) == size:
            yield read
            read = _Read([], [], Counter())
    yield read
