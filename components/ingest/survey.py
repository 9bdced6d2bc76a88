"""Survey of a source's splits, before anything is ingested."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from components.ingest.config import IngestConfig
from components.ingest.photographs.convert import Converter
from components.ingest.photographs.truth import TruthReader
from components.ingest.rasters.chips.chips import ChipConverter, locate_chips
from components.ingest.rasters.config import ChipsSource, TiledSource
from components.ingest.rasters.scenes.labelling import names_of
from components.ingest.rasters.scenes.labels_rejected import LabelsRejected
from components.ingest.rasters.scenes.plan import PlannedScenes, plan_scenes
from components.ingest.rasters.split import Split, rejected_areas, splits_of
from components.ingest.records.duplicates import DigestRow, DigestTable, surplus_copies
from components.ingest.records.outcome import Converted
from components.ingest.records.record import Record
from components.ingest.records.reject import Reason, Reject, in_words
from components.ingest.sources import contents_of, list_source, of_classes, seen_classes
from components.raster.errors import ConfigError, DataError
from components.raster.fingerprint import checksums_of_files
from components.raster.location import is_remote
from components.raster.spatial.distance import Contacts, Nearest
from components.raster.spatial.places import Places, all_places
from components.raster.spatial.report import SplitReport, split_report
from components.raster.spatial.rules import Assignment, LeftOut
from components.raster.split import split_of

Names = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Survey:
    """The state of a source's splits.

    Attributes:
        report: counts, classes, distances and leaks.
        places: of the tiles; none for photographs.
        splits: of each tile; None for those in no split.
        rejects: what could not be listed.
    """

    report: SplitReport
    places: Places
    splits: tuple[str | None, ...]
    rejects: tuple[Reject, ...]


def survey(config: IngestConfig) -> Survey:
    """Reads headers and labels, and no pixel of a scene; of photographs and chips it reads the
    files for copies.

    Raises:
        DataError: the source cannot be read, or its split would leak.
        ConfigError: the split's rule cannot decide.
    """
    source = config.source
    if isinstance(source, TiledSource):
        planned = plan_scenes(config, source)
        _require_some(planned.places, config, planned.rejects)
        told, unlabelled = _names_of_scenes(planned)
        rejects = [*planned.rejects, *unlabelled, *rejected_areas(config.split_by)]
        found = splits_of(planned.places, [None] * len(told), config, source.tiling)
        found = [
            LeftOut.NO_TRUTH if names is None and not isinstance(split, LeftOut) else split
            for names, split in zip(told, found, strict=True)
        ]
        return _of_places(planned.places, found, [it or () for it in told], rejects)
    if isinstance(source, ChipsSource):
        contents = contents_of(source)
        records, unknown = of_classes(contents.records, config.classes)
        kept, places, bad, _ = locate_chips(records, source, config)
        rejects = [*contents.rejects, *unknown, *bad, *rejected_areas(config.split_by)]
        _require_some(places, config, rejects)
        found = splits_of(places, [it.split for it in kept], config)
        return _of_chips(config, source, kept, places, found, rejects)
    return _of_photographs(config)


def _require_some(places: Places, config: IngestConfig, rejects: Sequence[Reject]) -> None:
    if not len(places):
        raise DataError(f"no raster in {config.source.uri} can be used: {in_words(rejects)}")


def _of_places(
    places: Places, found: Sequence[Split], names: Sequence[Names], rejects: Sequence[Reject]
) -> Survey:
    splits = tuple(None if isinstance(it, LeftOut) else it for it in found)
    reasons = tuple(it if isinstance(it, LeftOut) else None for it in found)
    report = split_report(places, Assignment(splits, reasons))
    report = replace(report, classes=_by_class(names, splits))
    return Survey(report, places, splits, tuple(rejects))


def _of_photographs(config: IngestConfig) -> Survey:
    listing = list_source(config)
    records = listing.records
    if any(is_remote(record.uri) for record in records):
        raise ConfigError(
            f"{config.source.uri}: photographs are split by their content, which is not fetched "
            "for a look. Run ingest; its summary has the counts."
        )
    contents = checksums_of_files([record.uri for record in records])
    rejected = {
        record.key: Reject(record.key, record.uri, Reason.UNREADABLE, content[1:])
        for content, record in zip(contents, records, strict=True)
        if content.startswith("!")
    }
    truth_of = TruthReader(config.source, listing.classes)
    converter = Converter(config, listing.classes, truth_of)
    rejected |= _rejected_copies(records, contents, converter.convert)
    splits = tuple(
        None
        if record.key in rejected
        else split_of(content, record.group, record.split, config.split)
        for content, record in zip(contents, records, strict=True)
    )
    classes = _by_class([record.names for record in records], splits)
    counts = dict(Counter(split for split in splits if split is not None))
    report = SplitReport(counts, classes, {}, Nearest(float("inf")), Contacts())
    return Survey(report, all_places(()), splits, (*listing.rejects, *rejected.values()))


def _of_chips(
    config: IngestConfig,
    source: ChipsSource,
    records: Sequence[Record],
    places: Places,
    found: Sequence[Split],
    rejects: Sequence[Reject],
) -> Survey:
    """Surveys chips, less the copies among those on this machine."""
    local = [
        record._replace(split=split)
        for record, split in zip(records, found, strict=True)
        if not (isinstance(split, LeftOut) or is_remote(record.uri))
    ]
    classes = config.classes or seen_classes(records)
    converter = ChipConverter(config, source, classes)
    contents = checksums_of_files([record.uri for record in local])
    copies = _rejected_copies(local, contents, converter.convert)
    kept = [at for at, record in enumerate(records) if record.key not in copies]
    names = [records[at].names for at in kept]
    return _of_places(
        places.take(kept), [found[at] for at in kept], names, (*rejects, *copies.values())
    )


def _rejected_copies(
    records: Sequence[Record],
    contents: Sequence[str],
    convert: Callable[[Sequence[Record]], Iterator[Converted | Reject]],
) -> dict[str, Reject]:
    """Returns the copies that ingest would reject, by key; converts only files that occur twice."""
    counts = Counter(contents)
    twice = [it for it, one in zip(records, contents, strict=True) if counts[one] > 1]
    rows = [
        DigestRow(one.record.key, one.digest, one.split, one.names)
        for one in convert(twice)
        if isinstance(one, Converted)
    ]
    uris = {record.key: record.uri for record in twice}
    copies = surplus_copies([DigestTable.of(0, rows)]).get(0, ())
    named = [(rows[it.position].key, it) for it in copies]
    return {key: Reject(key, uris[key], it.reason, it.detail) for key, it in named}


def _names_of_scenes(planned: PlannedScenes) -> tuple[list[Names | None], list[Reject]]:
    """Returns each tile's classes, assuming that all of its pixels are valid; None without truth.

    Also the rejects of tiles whose labels cannot be used.
    """
    names: list[Names | None] = []
    rejects = []
    for scene, labels in zip(planned.scenes, planned.labels, strict=True):
        for key in scene.places.keys:
            valid = np.ones((key.window.height, key.window.width), np.bool_)
            try:
                answer = labels.truth(key.window, valid)
            except LabelsRejected as error:
                rejects.append(Reject(str(key), scene.uri, error.reason, error.detail))
                answer = None
            names.append(None if answer is None else names_of(answer, planned.classes))
    return names, rejects


def _by_class(names: Sequence[Names], splits: Sequence[str | None]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for of_tile, split in zip(names, splits, strict=True):
        for name in of_tile:
            counts.setdefault(name, Counter())
            if split is not None:
                counts[name][split] += 1
    return {name: dict(found) for name, found in sorted(counts.items())}
