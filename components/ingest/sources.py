"""Listing of a source: the one place that knows all kinds of source."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter

from components.ingest.config import IngestConfig, SourceConfig
from components.ingest.listing.folders import list_folders
from components.ingest.listing.manifest import list_manifest
from components.ingest.photographs.boxes import list_boxed
from components.ingest.photographs.config import (
    BoxedSource,
    FoldersSource,
    ManifestSource,
    MaskedSource,
)
from components.ingest.photographs.masks import list_masked
from components.ingest.rasters.chips.chips import name_chips, place_chips
from components.ingest.rasters.config import ChipsSource, TiledSource
from components.ingest.rasters.scenes.named import NamedScenes, name_scenes
from components.ingest.rasters.scenes.plan import list_scenes
from components.ingest.records.record import Contents, Listing, Record
from components.ingest.records.reject import Reason, Reject, in_words
from components.raster.errors import DataError
from components.raster.split import SplitConfig
from components.raster.stratify import stratified_splits

#: Contents of a source before any image is opened.
Named = Contents | NamedScenes


def name_source(source: SourceConfig) -> Named:
    """Lists the contents of a source of any kind; no image is opened.

    Raises:
        DataError: the source as a whole cannot be read.
    """
    return name_scenes(source) if isinstance(source, TiledSource) else contents_of(source)


def list_source(config: IngestConfig, named: Named | None = None) -> Listing:
    """Lists everything that the configured source names, sorted by key; no image is read.

    Args:
        config: of ingest.
        named: what the source names, from `name_source`; None asks the source now.

    Raises:
        DataError: the source as a whole cannot be read, or names no image.
    """
    source = config.source
    if isinstance(source, TiledSource):
        assert not isinstance(named, Contents)
        return list_scenes(config, source, named)
    named = named or contents_of(source)
    assert isinstance(named, Contents)
    known, unknown = of_classes(named.records, config.classes)
    found = replace(named, records=known, rejects=[*named.rejects, *unknown])
    if isinstance(source, ChipsSource):
        found = place_chips(found, source, config)
    if not found.records:
        raise DataError(
            f"no image with a known class in {source.uri}: "
            f"{in_words(found.rejects)}, {found.ignored.total()} other files"
        )
    records = sorted(found.records, key=attrgetter("key"))
    if config.split.stratify:
        records = _stratified(records, config.split)
    return Listing(
        records=tuple(records),
        rejects=tuple(sorted(found.rejects, key=attrgetter("key"))),
        ignored=dict(sorted(found.ignored.items())),
        classes=config.classes or found.classes or seen_classes(found.records),
        scalings=found.scalings,
    )


def contents_of(source: SourceConfig) -> Contents:
    """Returns the contents of a source of any kind."""
    if isinstance(source, FoldersSource):
        return list_folders(source.uri)
    if isinstance(source, ChipsSource):
        return name_chips(source)
    if isinstance(source, ManifestSource):
        found = list_manifest(source.uri, source.columns, source.encoding)
        return replace(found, classes=source.legend_classes)
    if isinstance(source, MaskedSource):
        return list_masked(source)
    if isinstance(source, BoxedSource):
        return list_boxed(source)
    raise TypeError(f"a source of kind {source.kind} names scenes and no images")


def seen_classes(records: Iterable[Record]) -> tuple[str, ...]:
    """Returns the class names that records carry, sorted."""
    combinations = {(record.label, record.labels) for record in records}
    names = {name for label, labels in combinations for name in (label, *(labels or ()))}
    return tuple(sorted(name for name in names if name is not None))


def _stratified(records: Sequence[Record], split: SplitConfig) -> list[Record]:
    """Assigns a split to each record; given ones stay, and groups stay together."""
    units: dict[str, Counter[str]] = {}
    for record in records:
        if record.split is None:
            units.setdefault(_unit(record), Counter()).update(record.names or ("",))
    found = stratified_splits(units, split)
    return [
        record if record.split else record._replace(split=found[_unit(record)])
        for record in records
    ]


def _unit(record: Record) -> str:
    return f"key {record.key}" if record.group is None else f"group {record.group}"


def of_classes(
    records: list[Record], classes: Sequence[str] | None
) -> tuple[list[Record], list[Reject]]:
    """Returns the records whose classes are all configured, and rejects for the others."""
    if classes is None:
        return records, []
    known = set(classes)
    rejects = [
        Reject(
            record.key,
            record.uri,
            Reason.UNKNOWN_LABEL,
            f"{', '.join(sorted(set(record.names) - known))} is not among the configured classes",
        )
        for record in records
        if not known.issuperset(record.names)
    ]
    return [record for record in records if known.issuperset(record.names)], rejects
