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
from components.ingest.place_split import splits_of
from components.ingest.raster_config import ChipsSource, TiledSource
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
    """

    report: SplitReport
    places: Places
    splits: tuple[str | None, ...]


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
        return _of_places(planned.places, [None] * len(names), config, names, are_chips=False)
    if isinstance(source, ChipsSource):
        records, _ = of_classes(contents_of(source).records, config.classes)
        kept, places, _ = locate_chips(records, source, config)
        given = [record.split for record in kept]
        return _of_places(places, given, config, [it.names for it in kept], are_chips=True)
    return _of_photographs(config)


def _of_places(
    places: Places,
    given: Sequence[str | None],
    config: IngestConfig,
    names: Sequence[Names],
    *,
    are_chips: bool,
) -> Survey:
    if not len(places):
        raise DataError(f"no raster in {config.source.uri} can be used. See: skymill look")
    found = splits_of(places, given, config, are_chips=are_chips)
    splits = tuple(None if isinstance(it, LeftOut) else it for it in found)
    reasons = tuple(it if isinstance(it, LeftOut) else None for it in found)
    report = split_report(places, Assignment(splits, reasons))
    return Survey(replace(report, classes=_by_class(names, splits)), places, splits)


def _of_photographs(config: IngestConfig) -> Survey:
    records = list_source(config).records
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
    return Survey(report, all_places(()), splits)


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
