"""What the splits of a source come to, before anything is ingested."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from components.ingest.chips import locate_chips
from components.ingest.config import IngestConfig
from components.ingest.files import is_remote
from components.ingest.labelling import names_of
from components.ingest.listing import contents_of, list_source, of_classes
from components.ingest.place_split import Split, splits_of
from components.ingest.raster_config import ChipsSource, TiledSource
from components.ingest.reject import Reject
from components.ingest.scenes import PlannedScenes, plan_scenes
from components.raster.errors import ConfigError, DataError
from components.raster.fingerprint import checksums_of_files
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
    """Reads headers and labels, and no pixel of a tile; of photographs it reads the files.

    Raises:
        DataError: the source cannot be read, or its split would leak.
        ConfigError: the split's rule cannot decide.
    """
    source = config.source
    if isinstance(source, TiledSource):
        planned = plan_scenes(config, source)
        names = list(_names_of_scenes(planned))
        _require_some(planned.places, config, planned.rejects)
        found = splits_of(planned.places, [None] * len(names), config, are_chips=False)
        return _of_places(planned.places, found, names, planned.rejects)
    if isinstance(source, ChipsSource):
        contents = contents_of(source)
        records, unknown = of_classes(contents.records, config.classes)
        kept, places, bad = locate_chips(records, source, config)
        rejects = [*contents.rejects, *unknown, *bad]
        _require_some(places, config, rejects)
        found = splits_of(places, [it.split for it in kept], config, are_chips=True)
        return _of_places(places, found, [it.names for it in kept], rejects)
    return _of_photographs(config)


def _require_some(places: Places, config: IngestConfig, rejects: Sequence[Reject]) -> None:
    if not len(places):
        first = f" (such as {rejects[0].key}: {rejects[0].detail})" if rejects else ""
        raise DataError(
            f"no raster in {config.source.uri} can be used: {len(rejects)} rejects{first}"
        )


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
    splits = tuple(
        split_of(content, record.group, record.split, config.split)
        for content, record in zip(contents, records, strict=True)
    )
    classes = _by_class([record.names for record in records], splits)
    report = SplitReport(dict(Counter(splits)), classes, {}, Nearest(float("inf")), Contacts())
    return Survey(report, all_places(()), splits, listing.rejects)


def _names_of_scenes(planned: PlannedScenes) -> Iterator[Names]:
    """The classes of each tile, were all of its pixels valid."""
    for scene, labels in zip(planned.scenes, planned.labels, strict=True):
        for key in scene.places.keys:
            valid = np.ones((key.window.height, key.window.width), np.bool_)
            answer = labels.truth(key.window, valid)
            yield () if answer is None else names_of(answer, planned.classes)


def _by_class(names: Sequence[Names], splits: Sequence[str | None]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for of_tile, split in zip(names, splits, strict=True):
        for name in of_tile:
            counts.setdefault(name, Counter())
            if split is not None:
                counts[name][split] += 1
    return {name: dict(found) for name, found in sorted(counts.items())}
