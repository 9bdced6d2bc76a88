"""One run of predictions over an archive, wherever Beam runs it."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from components.ingest.config import IngestConfig
from components.ingest.files import layout, storage
from components.ingest.listing.folders import is_within
from components.ingest.records.family import Tiled
from components.ingest.records.record import Records
from components.ingest.records.reject import Reject, reject_lines
from components.ingest.records.summary import IngestSummary, total
from components.ingest.sources import family_of, list_source
from components.raster.errors import ConfigError
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.earlier import (
    INPUTS_FILE,
    Earlier,
    earlier_of,
    newest_of,
    refused_units,
    take_maps,
    take_rows,
    write_inputs,
)
from pipelines.prediction.fitting import reading_for
from pipelines.prediction.job import PredictionJob
from pipelines.prediction.model import PinnedModel, find_model
from pipelines.prediction.output import (
    PredictionPaths,
    begin,
    complete,
    finished_summary,
    only_run_into,
)
from pipelines.prediction.shard import PREDICTED, ShardJob
from pipelines.prediction.table import escaped
from pipelines.prediction.units import States, Units, units_of
from serving.contract.contract import Contract

if TYPE_CHECKING:
    import apache_beam as beam


#: Settings that no answer depends on.
_NOT_OF_ANSWERS = ("output", "max_reject_fraction", "model_base", "stream")
#: Custom property of an artifact, with the folder of the run's predictions.
FOLDER_PROPERTY = "folder"


@dataclass(frozen=True)
class Predicted:
    """A finished run.

    Attributes:
        folder: folder of the files.
        predictions: number of images with an answer.
        rejects: number of the others, by reason.
        model_version: version of the model; None for a SavedModel.
        is_new: False where an earlier run had finished it.
        taken_over: number of predictions that were taken over from an earlier run.
    """

    folder: str
    predictions: int
    rejects: Mapping[str, int]
    model_version: int | None
    is_new: bool = True
    taken_over: int = 0

    @property
    def summary(self) -> IngestSummary:
        """The counts as ingest's gates read them."""
        return IngestSummary({}, {PREDICTED: self.predictions}, self.rejects)


@dataclass(frozen=True)
class PredictionPlan:
    """Everything that a run depends on, resolved before it starts.

    Attributes:
        config: settings of the run.
        model: the model.
        contract: the model's contract.
        reading: settings by which ingest's families read the source.
        found: what the source's family has found.
        units: units of the source.
        states: states of the units, before any of them is read.
        identity: digest that changes with the model, the images and the settings.
    """

    config: PredictionConfig
    model: PinnedModel
    contract: Contract
    reading: IngestConfig
    found: Any
    units: Units
    states: States
    identity: str


def plan_run(config: PredictionConfig, model_base: str) -> PredictionPlan:
    """Finds the model, lists the source and checks the state of its files, without reading them.

    Args:
        config: settings of the run.
        model_base: folder of the model's versions, unless the configuration names one.

    Raises:
        ConfigError: the model does not fit the source.
        DataError: there is no model, or the source cannot be read.
    """
    model, contract = find_model(config.model_base or model_base, config.model_version)
    reading = reading_for(config, contract)
    found = family_of(reading.source).find()
    units = units_of(reading, found)
    states = units.states()
    settings = config.model_dump_json(exclude={*_NOT_OF_ANSWERS, "take_over"})
    parts = [model.identity, model.version, states.token, settings, reading.model_dump_json()]
    identity = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return PredictionPlan(config, model, contract, reading, found, units, states, identity)


def folder_of(plan: PredictionPlan) -> str:
    """Returns the run's own folder in the configured output, by model version and identity.

    The same model, images and settings have the same folder.
    """
    return storage.join(plan.config.output, f"{_prefix_of(plan)}{plan.identity[:12]}")


def _prefix_of(plan: PredictionPlan) -> str:
    return "model-" if plan.model.version is None else f"v{plan.model.version}-"


def predict_archive(
    plan: PredictionPlan,
    output: str,
    make_pipeline: "Callable[[], beam.Pipeline]",
    *,
    overwrite: bool = False,
) -> Predicted:
    """Predicts every image of the source into a folder, which appears when it is complete.

    A run that was killed continues with the shards that it lacks; the files are then the same. A
    finished run of the same model, images and settings is returned as it is.

    Args:
        plan: plan of the run.
        output: the folder.
        make_pipeline: makes the Beam pipeline.
        overwrite: replace other predictions there.

    Raises:
        ConfigError: the folder holds something else, or what the run reads.
        DataError: the source as a whole cannot be read, or the model fails.
        TransientDataError: another run writes there, or the model was replaced meanwhile.
    """
    _require_apart(plan, output)
    found = finished_summary(output, plan.identity, overwrite=overwrite)
    if found is not None:  # its folder may be read-only, and then cannot be locked
        return _result(output, found, is_new=False)
    with only_run_into(PredictionPaths(output, 0, plan.config.format)):
        found = finished_summary(output, plan.identity, overwrite=overwrite)
        if found is not None:  # by a run that has just ended
            return _result(output, found, is_new=False)
        return _result(output, _predicted(plan, output, make_pipeline), is_new=True)


def _require_apart(plan: PredictionPlan, output: str) -> None:
    """Raises ConfigError where an output would replace what a run reads, or be read as a scene."""
    source = plan.reading.source.uri
    for name, place in (("the source", source), ("the model", plan.model.base)):
        if is_within(place, output):
            raise ConfigError(f"{output} holds {name} ({place}): choose another --output")
    if plan.config.format == "maps" and is_within(output, source):
        raise ConfigError(
            f"{output} is in the source {source}, so the next run would take the maps for scenes: "
            "choose an --output outside of it"
        )


class _Work(NamedTuple):
    """The listing of a run, less the units that an earlier run has answered.

    Attributes:
        lines: a line for each unit of work.
        job_of: makes the job that writes to some paths.
        rejects: rejects of the listing itself.
        ignored: number of items that the listing ignored, by reason.
    """

    lines: list[bytes]
    job_of: Callable[[PredictionPaths], PredictionJob]
    rejects: Sequence[Reject]
    ignored: Mapping[str, int]


def _predicted(
    plan: PredictionPlan, output: str, make_pipeline: "Callable[[], beam.Pipeline]"
) -> Mapping[str, Any]:
    family = family_of(plan.reading.source)
    basis = _basis(plan)
    earlier = _earlier(plan, output, basis)
    taken = earlier.units if earlier else frozenset()
    makes_maps = plan.config.format == "maps"
    work = _maps(plan, output, taken) if makes_maps else _shards(plan, taken)
    paths = PredictionPaths(output, len(work.lines), plan.config.format)
    listing = b"".join(work.lines)
    # A killed run continues only with the units that it has begun with.
    rest = f"-{hashlib.sha256(listing).hexdigest()}" if taken else ""
    begin(paths, f"{plan.identity}{rest}", listing)
    names: list[str] = []
    count = 0
    if earlier is not None and makes_maps:
        count = take_maps(earlier, paths)
    elif earlier is not None:
        names, count = take_rows(earlier, paths, are_tiles=isinstance(family, Tiled))
    summary = _answered(work, paths, make_pipeline) if work.lines else IngestSummary()
    if not makes_maps:  # the results of maps are folders, which appear whole
        names += [paths.predictions_name(shard) for shard in range(paths.shards)]
    origin = {"taken_over": count, "basis": basis, "files": tuple(names)}
    names += [paths.rejects_name(shard) for shard in range(paths.shards)]
    if work.rejects:
        names.append(layout.LISTING_REJECTS_FILE)
        storage.write(paths.result(layout.LISTING_REJECTS_FILE), reject_lines(work.rejects))
    lasting = dict(plan.states.own.items() & plan.units.states().own.items())
    refused = refused_units(paths) | {escaped(it.key) for it in work.rejects}
    names.append(INPUTS_FILE)
    write_inputs(paths.result(INPUTS_FILE), lasting, refused)
    reasons = Counter(reject.reason.value for reject in work.rejects)
    counts = [summary, IngestSummary({}, {PREDICTED: count}, reasons, work.ignored)]
    facts = _facts(plan, total(counts)) | origin
    complete(paths, names, facts)
    return facts


def _answered(
    work: _Work, paths: PredictionPaths, make_pipeline: "Callable[[], beam.Pipeline]"
) -> IngestSummary:
    """Predicts the listed units on Beam."""
    import apache_beam as beam

    from pipelines.prediction.transforms import PredictAll, total_path

    blocks, predict = layout.blocks_of(work.lines), PredictAll(work.job_of(paths))
    with make_pipeline() as pipeline:
        _ = pipeline | beam.Create(blocks) | beam.Reshuffle() | predict
    return IngestSummary.from_json(storage.read(total_path(paths)).decode())


def _basis(plan: PredictionPlan) -> str:
    """Returns a digest of everything that an answer depends on besides its unit."""
    settings = plan.config.model_dump_json(
        exclude={*_NOT_OF_ANSWERS, "source", "span", "shards", "model_version", "take_over"}
    )
    reading = plan.reading.model_dump_json(exclude={"span", "shards"})
    parts = [plan.model.identity, plan.model.version, settings, reading, plan.states.shared]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _earlier(plan: PredictionPlan, output: str, basis: str) -> Earlier | None:
    """Finds the run whose answers are taken over, in the output or beside it."""
    if not plan.config.take_over:
        return None
    beside: Iterable[str] = ()
    if output == folder_of(plan):
        beside = newest_of(plan.config.output, _prefix_of(plan))
    maps = plan.config.format == "maps"
    return earlier_of(chain([output], beside), basis, plan.states.own, are_maps=maps)


def _shards(plan: PredictionPlan, taken: frozenset[str]) -> _Work:
    """Lists the images in shards."""
    listing = list_source(plan.reading, plan.found)
    listing = replace(
        listing,
        records=Records(it for it in listing.records if escaped(it.key) not in taken),
        parts=tuple(it for it in listing.parts if escaped(it.source.scene_id) not in taken),
    )
    shards = layout.shard_count(listing.images, plan.config.shards)
    lines = list(family_of(plan.reading.source).lines(listing, shards)) if listing.images else []
    reading = plan.reading.model_dump_json()

    def job_of(paths: PredictionPaths) -> ShardJob:
        return ShardJob(reading, listing.classes, plan.model, plan.config.batch, paths)

    return _Work(lines, job_of, listing.rejects, listing.ignored)


def _maps(plan: PredictionPlan, output: str, taken: frozenset[str]) -> _Work:
    """Lists the scenes, each of which becomes a map."""
    from pipelines.prediction import maps

    maps.require_local(output, plan.model)
    settings = maps.settings_of(plan.config.map, plan.reading)
    listed = maps.scenes_of(plan.reading, plan.found)
    scenes = [it for it in listed.scenes if escaped(it.scene_id) not in taken]
    name = plan.model.base.rstrip("/").rpartition("/")[2]

    def job_of(paths: PredictionPaths) -> maps.MapJob:
        return maps.MapJob(settings.model_dump_json(), plan.model, name, paths)

    return _Work(maps.scene_lines(scenes), job_of, listed.rejects, listed.ignored)


def _facts(plan: PredictionPlan, summary: IngestSummary) -> dict[str, Any]:
    """Returns the content of `summary.json`."""
    return {
        "identity": plan.identity,
        "predictions": summary.total_images,
        "rejects": dict(summary.rejects),
        "ignored": dict(summary.ignored),
        "model_version": plan.model.version,
        "model_digest": plan.model.identity,
        "task": plan.contract.task,
        "classes": list(plan.contract.classes),
        "source": plan.reading.source.uri,
    }


def _result(folder: str, facts: Mapping[str, Any], *, is_new: bool) -> Predicted:
    return Predicted(
        folder,
        facts["predictions"],
        facts["rejects"],
        facts["model_version"],
        is_new,
        facts.get("taken_over", 0),  # absent from summaries of older releases
    )
