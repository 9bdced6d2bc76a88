"""Records of single files: checked, sorted and divided into splits; their lines and fingerprint."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter

from components.ingest.files.layout import listing_lines, records_of
from components.ingest.records.family import Entries, FingerprintInput, WholeScenes
from components.ingest.records.record import Contents, Listing, Record, Records
from components.ingest.records.reject import Reject, in_words
from components.ingest.records.settings import Settings
from components.raster.errors import DataError
from components.raster.reasons import Reason
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.split import SplitConfig
from components.raster.stratify import stratified_splits


class RecordFamily:
    """Methods of families whose items are records of single files.

    Attributes:
        band_names: names of the bands of each file, where the files do not name them.
    """

    band_names: tuple[str, ...] = ()

    def whole_scenes(self, found: Contents) -> WholeScenes:
        """Returns each image as a scene."""
        scenes = tuple(
            SceneSource(it.key, (BandFile(it.uri, self.band_names),)) for it in found.records
        )
        return WholeScenes(scenes, found.rejects, found.ignored)

    def lines(self, listing: Listing, shards: int) -> Iterator[bytes]:
        """Serializes a listing: a line of JSON for each shard."""
        return listing_lines(listing.records, shards)

    def uri_of_keys(self, line: bytes) -> Callable[[str], str]:
        """Returns a function from a record's key to its file, for the records of a line."""
        return {record.key: record.uri for record in records_of(line)}.__getitem__


def listing_of(found: Contents, settings: Settings, source_uri: str) -> Listing:
    """Sorts records and rejects by key, and assigns stratified splits if so configured.

    Args:
        found: records of configured classes, from `of_classes`.
        settings: of ingest.
        source_uri: for messages.

    Raises:
        DataError: there is no record.
    """
    if not found.records:
        raise DataError(
            f"no usable image in {source_uri}: "
            f"{in_words(found.rejects)}, {found.ignored.total()} other files"
        )
    records = found.records.by_key()
    if settings.split.stratify:
        records = _stratified(records, settings.split)
    return Listing(
        records=records,
        rejects=tuple(sorted(found.rejects, key=attrgetter("key"))),
        ignored=dict(sorted(found.ignored.items())),
        classes=settings.classes or found.classes or seen_classes(records),
        scalings=found.scalings,
        train_to_test_m=found.train_to_test_m,
    )


def of_classes(records: Records, classes: Sequence[str] | None) -> tuple[Records, list[Reject]]:
    """Returns the records whose classes are all configured, and rejects for the others."""
    if classes is None:
        return records, []
    known = set(classes)
    kept, rejects = Records(), []
    for record in records:
        if known.issuperset(record.names):
            kept.append(record)
        else:
            others = ", ".join(sorted(set(record.names) - known))
            detail = f"{others} is not among the configured classes"
            rejects.append(Reject(record.key, record.uri, Reason.UNKNOWN_LABEL, detail))
    return kept, rejects


def seen_classes(records: Iterable[Record]) -> tuple[str, ...]:
    """Returns the class names that records carry, sorted."""
    combinations = {(record.label, record.labels) for record in records}
    names = {name for label, labels in combinations for name in (label, *(labels or ()))}
    return tuple(sorted(name for name in names if name is not None))


def fingerprint_input_of_records(
    found: Contents,
    split_files: Sequence[str],
    *,
    sides_of: Callable[[str], Sequence[str]] = lambda uri: (),
    box_files: Mapping[str, str] | None = None,
) -> FingerprintInput:
    """Covers each record with its values and content, and the other files.

    Args:
        found: the records and rejects of a source.
        split_files: files by whose content splits are drawn.
        sides_of: the files that are read beside a file.
        box_files: files of boxes, by key.
    """
    boxes = box_files or {}
    sides = {record.uri: beside for record in found.records if (beside := sides_of(record.uri))}
    masks = [record.mask_uri for record in found.records if record.mask_uri is not None]
    files = [path for record in found.records for path in (record.uri, *sides.get(record.uri, ()))]
    return FingerprintInput(
        [*files, *masks, *boxes.values(), *split_files],
        partial(_entries, found, split_files, sides, boxes),
    )


def _entries(
    found: Contents,
    split_files: Sequence[str],
    sides: Mapping[str, Sequence[str]],
    boxes: Mapping[str, str],
    checksums: Mapping[str, str],
) -> Entries:
    for record in found.records:
        yield (
            record.key,
            record.label,
            record.labels,
            record.split,
            record.group,
            sorted(record.slices.items()),
            checksums[record.uri],
            *_other_truth(record, checksums),
            *(checksums[path] for path in sides.get(record.uri, ())),
        )
    for reject in found.rejects:
        yield "reject", reject.key, reject.reason.value
    for key, path in boxes.items():
        yield "boxes", key, checksums[path]
    for path in split_files:
        yield "split", checksums[path]


def _other_truth(record: Record, checksums: Mapping[str, str]) -> Iterator[object]:
    """Yields a record's truth other than classes."""
    if record.number is not None:
        yield record.number
    if record.mask_uri is not None:
        yield checksums[record.mask_uri]
    if record.boxes_of is not None:
        yield record.boxes_of


def _stratified(records: Records, split: SplitConfig) -> Records:
    """Assigns a split to each record; given ones stay, and groups stay together."""
    units: dict[str, Counter[str]] = {}
    for record in records:
        if record.split is None:
            units.setdefault(_unit(record), Counter()).update(record.names or ("",))
    found = stratified_splits(units, split)
    return Records(
        record if record.split else record._replace(split=found[_unit(record)])
        for record in records
    )


def _unit(record: Record) -> str:
    return f"key {record.key}" if record.group is None else f"group {record.group}"
