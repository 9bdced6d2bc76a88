"""Records of single files: checks, order, splits, serialization and fingerprint."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain, islice, tee
from json.encoder import encode_basestring_ascii as json_text
from operator import attrgetter
from types import MappingProxyType

from components.ingest.files.layout import listing_lines, records_of
from components.ingest.records.family import ChecksumsOf, Entries, FingerprintInput, WholeScenes
from components.ingest.records.record import Contents, Listing, Record, Records
from components.ingest.records.reject import Reject, in_words
from components.ingest.records.settings import Settings
from components.raster.errors import DataError
from components.raster.fingerprint import entry_digest
from components.raster.reasons import Reason
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.split import SplitConfig
from components.raster.stratify import stratified_splits


class RecordFamily:
    """Methods of families whose items are records of single files.

    Attributes:
        band_names: names of the bands of each file, if the files do not name them.
    """

    band_names: tuple[str, ...] = ()

    def whole_scenes(self, found: Contents) -> WholeScenes:
        """Returns each image as a scene."""
        scenes = tuple(
            SceneSource(it.key, (BandFile(it.uri, self.band_names),)) for it in found.records
        )
        return WholeScenes(scenes, found.rejects, found.ignored)

    def lines(self, listing: Listing, shards: int) -> Iterator[bytes]:
        """Serializes a listing: one line of JSON for each shard."""
        return listing_lines(listing.records, shards)

    def uri_of_keys(self, line: bytes) -> Callable[[str], str]:
        """Returns a function from a record's key to its file, for the records of a line."""
        return {record.key: record.uri for record in records_of(line)}.__getitem__


def listing_of(found: Contents, settings: Settings, source_uri: str) -> Listing:
    """Sorts records and rejects by key, and assigns stratified splits if configured.

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
    seen = seen_classes(records.columns("label", "labels"))
    return Listing(
        records=records,
        rejects=tuple(sorted(found.rejects, key=attrgetter("key"))),
        ignored=dict(sorted(found.ignored.items())),
        classes=settings.classes or found.classes or seen,
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


def seen_classes(named: Iterable[tuple[str | None, Sequence[str] | None]]) -> tuple[str, ...]:
    """Returns the class names among the `label` and `labels` of records, sorted."""
    names = {name for label, labels in set(named) for name in (label, *(labels or ()))}
    return tuple(sorted(name for name in names if name is not None))


def fingerprint_input_of_records(
    found: Contents,
    split_files: Sequence[str],
    *,
    sides_of: Callable[[str], Sequence[str]] | None = None,
    box_files: Mapping[str, str] = MappingProxyType({}),
    read_whole: bool = False,
) -> FingerprintInput:
    """Returns the input of a fingerprint: each record with its values and content, and other files.

    Args:
        found: the records and rejects of a source.
        split_files: files whose content determines splits.
        sides_of: returns the side files of a file; None: there are none.
        box_files: files of boxes, by key.
        read_whole: whether workers read the local files of records once and whole.
    """
    records = found.records
    uris = (uri for (uri,) in records.columns("uri")) if sides_of else ()
    side_files = {uri: sides for uri in uris if sides_of and (sides := sides_of(uri))}
    others = partial(_entries_of_others, found, split_files, box_files)

    def not_read_whole(classes: Collection[str] | None = None) -> Iterable[Record]:
        """Yields the records that workers do not read whole."""
        if not read_whole:
            return records
        if classes is not None:
            known = set(classes)
            return (it for it in records if not (it.is_local and known.issuperset(it.names)))
        return () if records.are_local else (it for it in records if not it.is_local)

    def files_of(some: Iterable[Record]) -> Iterator[str]:
        return chain.from_iterable(_files(record, side_files) for record in some)

    return FingerprintInput(
        lambda: chain(files_of(not_read_whole()), box_files.values(), split_files),
        lambda it: chain(_entries_of_records(records, side_files, it), others(it)),
        lambda it, classes: chain(
            _entries_of_records(not_read_whole(classes), side_files, it), others(it)
        ),
        lambda: files_of(it for it in records if it.is_local) if read_whole else (),
    )


def _files(record: Record, side_files: Mapping[str, Sequence[str]]) -> list[str]:
    """Lists the image's file, its mask's, and the image's side files."""
    masks = () if record.mask_uri is None else (record.mask_uri,)
    return [record.uri, *masks, *side_files.get(record.uri, ())]


def _entries_of_records(
    records: Iterable[Record], side_files: Mapping[str, Sequence[str]], checksums_of: ChecksumsOf
) -> Entries:
    each, ahead = tee((record, _files(record, side_files)) for record in records)
    checksums = checksums_of(path for _, files in ahead for path in files)
    for record, files in each:
        yield entry_of(record, list(islice(checksums, len(files))))


def _entries_of_others(
    found: Contents,
    split_files: Sequence[str],
    boxes: Mapping[str, str],
    checksums_of: ChecksumsOf,
) -> Entries:
    for reject in found.rejects:
        yield "reject", reject.key, reject.reason.value
    for key, checksum in zip(boxes, checksums_of(boxes.values()), strict=True):
        yield "boxes", key, checksum
    for checksum in checksums_of(split_files):
        yield "split", checksum


def entry_of(record: Record, checksums: Sequence[str]) -> Sequence[object]:
    """Returns a record's entry in a fingerprint.

    Args:
        record: from its source; a drawn split is determined by the other fields.
        checksums: of its image's file, its mask's, and the image's side files.
    """
    return (
        record.key,
        record.label,
        record.labels,
        record.split,
        record.group,
        sorted(record.slices.items()),
        record.number,
        record.boxes_of,
        *checksums,
    )


def digest_of(record: Record, checksums: Sequence[str]) -> bytes:
    """Returns the digest of `entry_of`; of classes the JSON between key and checksums is kept."""
    if record.slices or record.number is not None or record.boxes_of is not None:
        return entry_digest(entry_of(record, checksums))
    kept = _entry_text(record.label, record.labels, record.split, record.group)
    text = ", ".join((json_text(record.key), kept, *map(json_text, checksums)))
    return hashlib.sha256(f"[{text}]".encode()).digest()


@lru_cache(maxsize=4096)
def _entry_text(
    label: str | None, labels: tuple[str, ...] | None, split: str | None, group: str | None
) -> str:
    entry = entry_of(Record("", "", label, labels, split, group), ())
    return json.dumps(entry[1:])[1:-1]


def _stratified(records: Records, split: SplitConfig) -> Records:
    """Assigns a split to each record; keeps given ones, and groups together."""
    units: dict[str, Counter[str]] = {}
    for record in records:
        if record.split is None:
            units.setdefault(_unit(record), Counter()).update(record.names or ("",))
    found = stratified_splits(units, split)
    return Records(
        record if record.split else record._replace(drawn=found[_unit(record)])
        for record in records
    )


def _unit(record: Record) -> str:
    return f"key {record.key}" if record.group is None else f"group {record.group}"
