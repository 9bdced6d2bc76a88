"""Executor of the Ingest node: from its properties to shards."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components.gate.report import REPORT_FILE
from components.ingest.config import IngestConfig
from components.ingest.files import layout, storage
from components.ingest.files.layout import ShardRange
from components.ingest.files.spans import span_number
from components.ingest.records.record import Listing
from components.ingest.records.reject import reject_lines
from components.ingest.records.summary import IngestSummary, rejects_report, total
from components.ingest.shard import ShardPaths, import_libraries_early
from components.ingest.snapshot import Snapshot
from components.ingest.sources import family_of, list_source
from components.ingest.transforms import IngestShards, processes_of
from components.node.executor import Artifacts, BeamNodeExecutor
from components.raster.band_scalings import SCALINGS_FILE, BandScalings, scalings_to_json
from components.raster.classes import CLASSES_FILE, classes_to_json
from components.raster.example import SPLITS
from components.raster.fingerprint import digests_in
from components.raster.image import ImageSpec
from components.raster.spatial.grouping import GROUPING_FILE, Grouping, grouping_to_json

_PARTIAL_FOLDER = ".partial"  # beside the splits, so that its files can be renamed into them


class Executor(BeamNodeExecutor):
    """Reads `config` and `fingerprint`; fills `examples` and `rejects`."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Raises DataError only if the source as a whole cannot be read, or differs from the data
        for which the run was started."""
        config = IngestConfig.model_validate_json(properties["config"])
        examples = outputs["examples"]
        rejects = outputs["rejects"]
        summary = run_ingest(
            config,
            properties["fingerprint"],
            examples.uri,
            rejects.uri,
            self._make_beam_pipeline,
        )
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        examples.span = span_number(config.span or 0)
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords")
        rejects.count = summary.total_rejects


def run_ingest(
    config: IngestConfig,
    started_for: str | None,
    examples_uri: str,
    rejects_uri: str,
    make_pipeline: Callable[[], beam.Pipeline],
) -> IngestSummary:
    """Ingests all of a source into the two folders and returns the summary.

    Args:
        config: of ingest.
        started_for: fingerprint of the data for which the run was started; None for any data.
        examples_uri: the folder of examples.
        rejects_uri: the folder of rejects, summary and report.
        make_pipeline: makes the Beam pipeline that reads.

    Raises:
        DataError: the source as a whole cannot be read.
        SourceChanged: it differs from those data, or changed before all of it was read.
    """
    source = Snapshot.take(config)
    if source.is_complete:
        source.require(started_for)
    listing = list_source(config, source.found)
    shards = layout.shard_count(listing.images, config.shards)
    pipeline = make_pipeline()
    import_libraries_early(config, shards, processes_of(pipeline))
    lines = family_of(config.source).lines(listing, shards)
    partial = storage.join(examples_uri, _PARTIAL_FOLDER)
    blocks = _write_listing(lines, partial)
    paths = ShardPaths(examples_uri, rejects_uri, partial, len(blocks))
    for folder in (paths.rejects, *map(paths.split_folder, SPLITS)):
        storage.make_folder(folder)
    ingest = IngestShards(config.model_dump_json(), listing.classes, paths)
    with pipeline:
        _ = pipeline | beam.Create(blocks) | beam.Reshuffle() | ingest
    digests = b"".join(storage.read(paths.read_log(shard)) for shard in range(len(blocks)))
    summary = total(_summary(paths, shard) for shard in range(len(blocks)))
    storage.remove_folder(paths.partial)
    source.require_unchanged()
    fingerprint = source.require(started_for, digests_in(digests))
    return _conclude(config, listing, fingerprint, paths, summary)


def _summary(paths: ShardPaths, shard: int) -> IngestSummary:
    return IngestSummary.from_json(storage.read(paths.summary(shard)).decode())


def _write_listing(lines: Iterable[bytes], folder: str) -> list[ShardRange]:
    """Writes the listing from which workers read their ranges, into a new folder."""
    storage.make_folder(folder)

    def written() -> Iterator[bytes]:
        with storage.create(storage.join(folder, layout.LISTING_FILE)) as file:
            for line in lines:
                file.write(line)
                yield line

    return layout.blocks_of(written())


def _conclude(
    config: IngestConfig,
    listing: Listing,
    fingerprint: str,
    paths: ShardPaths,
    of_shards: IngestSummary,
) -> IngestSummary:
    """Adds the results of the listing, and publishes classes, groups, summary and report."""
    units = {} if config.image.bands is None else _units(config.image, listing.scalings)
    listed = IngestSummary(
        rejects=_count(listing),
        ignored=listing.ignored,
        units=units,
        train_to_test_m=listing.train_to_test_m,
    )
    summary = total([of_shards, listed])
    if listing.rejects:
        name = storage.join(paths.rejects, layout.LISTING_REJECTS_FILE)
        storage.write(name, reject_lines(listing.rejects))
    path = storage.join(paths.rejects, layout.SUMMARY_FILE)
    storage.write(path, summary.to_json().encode())
    classes = classes_to_json(listing.classes).encode()
    storage.write(storage.join(paths.examples, CLASSES_FILE), classes)
    grouping = grouping_to_json(Grouping(config.split_by, listing.groups)).encode()
    storage.write(storage.join(paths.examples, GROUPING_FILE), grouping)
    if listing.scalings is not None:
        scalings = scalings_to_json(listing.scalings).encode()
        storage.write(storage.join(paths.examples, SCALINGS_FILE), scalings)
    rejects_report(
        summary, config.max_reject_fraction, listing.classes, fingerprint, config.task
    ).write(storage.join(paths.rejects, REPORT_FILE))
    return summary


def _units(image: ImageSpec, scalings: BandScalings | None) -> dict[str, str]:
    """Describes the units of tiles, by band."""
    if image.values == "scaled":
        return dict.fromkeys(image.bands or (), "values: number * scale + offset")
    units = dict.fromkeys(image.bands or (), "numbers as stored")
    meant = {band: f"numbers as stored; the value is {it}" for band, it in (scalings or {}).items()}
    return units | meant


def _count(listing: Listing) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reject in listing.rejects:
        counts[reject.reason.value] = counts.get(reject.reason.value, 0) + 1
    return counts
