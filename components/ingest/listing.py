"""From a source to its listing: one place that knows the kinds of source."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from components.ingest.config import FoldersSource, IngestConfig, SourceConfig
from components.ingest.folders import list_folders
from components.ingest.manifest import list_manifest
from components.ingest.record import Contents, Listing, Record
from components.ingest.reject import Reason, Reject
from components.raster.errors import DataError


def list_source(config: IngestConfig) -> Listing:
    """Everything that the configured source names, sorted by key; no image is read.

    Raises:
        DataError: the source as a whole cannot be read, or names no image.
    """
    found = contents_of(config.source)
    records, unknown = _of_classes(found.records, config.classes)
    if not records:
        raise DataError(
            f"no image with a known class in {config.source.uri}: "
            f"{len(found.rejects) + len(unknown)} rejects, {found.ignored.total()} other files"
        )
    return Listing(
        records=tuple(sorted(records, key=attrgetter("key"))),
        rejects=tuple(sorted(found.rejects + unknown, key=attrgetter("key"))),
        ignored=dict(sorted(found.ignored.items())),
        classes=config.classes or seen_classes(records),
    )


def contents_of(source: SourceConfig) -> Contents:
    """What a source names, whatever its kind."""
    if isinstance(source, FoldersSource):
        return list_folders(source.uri)
    return list_manifest(source)


def seen_classes(records: Iterable[Record]) -> tuple[str, ...]:
    """The class names that records carry, sorted."""
    combinations = {(record.label, record.labels) for record in records}
    names = {name for label, labels in combinations for name in (label, *(labels or ()))}
    return tuple(sorted(name for name in names if name is not None))


def _of_classes(
    records: list[Record], classes: Sequence[str] | None
) -> tuple[list[Record], list[Reject]]:
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
