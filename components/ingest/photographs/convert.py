"""Conversion of records to examples, one by one and in order, without a framework."""

import hashlib
from collections.abc import Iterator, Sequence

from components.ingest.files.encode import box_entries, example_bytes, mask_entries
from components.ingest.files.read import ReadFailure, read_files
from components.ingest.listing.records import digest_of
from components.ingest.photographs.truth import TruthReader
from components.ingest.photographs.validate import ImageValidator, Refused
from components.ingest.records.family import Note
from components.ingest.records.outcome import Converted
from components.ingest.records.record import Record, are_local
from components.ingest.records.reject import Reject
from components.ingest.records.settings import Settings
from components.raster.features import image_features
from components.raster.split import split_of


class Converter:
    """Reads, validates and encodes the images of records.

    Args:
        settings: of ingest.
        classes: class names in the order of their indices.
        truth_of: finds truth that is not part of the record.
    """

    def __init__(self, settings: Settings, classes: Sequence[str], truth_of: TruthReader) -> None:
        self._settings = settings
        self._indices = {name: index for index, name in enumerate(classes)}
        self._validate = ImageValidator(settings.image, decode=settings.features)
        self._classes = tuple(classes)
        self._truth_of = truth_of

    def convert(
        self, records: Sequence[Record], note: Note | None = None
    ) -> Iterator[Converted | Reject]:
        """Yields one outcome for each of `records`, in order; no image raises.

        Args:
            records: of the images.
            note: called for each record whose files are on this machine, with the digest of its
                entry in the fingerprint.
        """
        most = self._settings.image.max_bytes
        uris = [record.uri for record in records]
        mask_uris = [record.mask_uri for record in records if record.mask_uri]
        contents = read_files(uris, most)
        masks = read_files(mask_uris, most)
        all_local = are_local(uris) and are_local(mask_uris)
        for record, content in zip(records, contents, strict=True):
            mask = next(masks) if record.mask_uri else None
            checksum = _checksum(content)
            if note is not None and (all_local or record.is_local):
                checksums = [checksum] if mask is None else [checksum, _checksum(mask)]
                note(digest_of(record, checksums))
            if isinstance(content, ReadFailure):
                yield Reject(record.key, record.uri, content.reason, content.detail)
            elif isinstance(mask, ReadFailure):
                yield Reject(record.key, record.uri, mask.reason, f"the mask: {mask.detail}")
            else:
                yield self._convert(record, content, checksum, mask)

    def _convert(
        self, record: Record, data: bytes, sha256: str, mask: bytes | None
    ) -> Converted | Reject:
        image = self._validate(data)
        if isinstance(image, Refused):
            return Reject(record.key, record.uri, image.reason, image.detail)
        truth = self._truth_of(record, mask, image.height, image.width)
        if isinstance(truth, Reject):
            return truth
        pixels = image.pixels if self._settings.features else None
        features = None if pixels is None else image_features(pixels)
        given = record.split or record.drawn
        split = split_of(sha256, record.group, given, self._settings.split)
        entries = mask_entries(truth.mask) + box_entries(truth.boxes, self._classes)
        encoded = example_bytes(record, data, sha256, image, features, self._indices, entries)
        names = record.names or truth.names(self._classes)
        return Converted(record, split, bytes.fromhex(sha256), encoded, names)


def _checksum(content: bytes | ReadFailure) -> str:
    if isinstance(content, ReadFailure):
        return content.checksum
    return hashlib.sha256(content).hexdigest()
