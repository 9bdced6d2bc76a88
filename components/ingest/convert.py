"""Conversion of records to examples, one by one and in order, without any framework."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from components.ingest.config import IngestConfig
from components.ingest.encode import example_bytes
from components.ingest.files import ReadFailure, read_files
from components.ingest.judge import Judge, Refused
from components.ingest.photo_truth import TruthReader
from components.ingest.record import Record
from components.ingest.reject import Reject
from components.ingest.truth import box_entries, mask_entries
from components.raster.features import image_features
from components.raster.split import split_of


class Converted(NamedTuple):
    """One example: its split, its serialized tf.Example, and the classes to count it for:
    those that the record names, or that its mask or boxes show. Copies share a digest."""

    record: Record
    split: str
    digest: bytes
    example: bytes
    names: tuple[str, ...]


class Ignored(NamedTuple):
    """An item left out by configuration; `what` is the name to count by."""

    what: str


class Converter:
    """Reads, judges and encodes the images of records.

    Args:
        config: of ingest.
        classes: class names in the order of their indices.
    """

    def __init__(self, config: IngestConfig, classes: Sequence[str]) -> None:
        self._config = config
        self._indices = {name: index for index, name in enumerate(classes)}
        self._judge = Judge(config.image, decode=config.features)
        self._classes = tuple(classes)
        self._truth_of = TruthReader(config, classes)

    def convert(self, records: Sequence[Record]) -> Iterator[Converted | Reject]:
        """Yields one outcome for each of `records`, in their order; no image raises."""
        most = self._config.image.max_bytes
        contents = read_files([record.uri for record in records], most)
        masks = read_files([record.mask_uri for record in records if record.mask_uri], most)
        for record, content in zip(records, contents, strict=True):
            mask = next(masks) if record.mask_uri else None
            if isinstance(content, ReadFailure):
                yield Reject(record.key, record.uri, content.reason, content.detail)
            elif isinstance(mask, ReadFailure):
                yield Reject(record.key, record.uri, mask.reason, f"the mask: {mask.detail}")
            else:
                yield self._convert(record, content, mask)

    def _convert(self, record: Record, data: bytes, mask: bytes | None) -> Converted | Reject:
        image = self._judge(data)
        if isinstance(image, Refused):
            return Reject(record.key, record.uri, image.reason, image.detail)
        truth = self._truth_of(record, mask, image.height, image.width)
        if isinstance(truth, Reject):
            return truth
        pixels = image.pixels if self._config.features else None
        features = None if pixels is None else image_features(pixels)
        digest = hashlib.sha256(data).digest()
        content = digest.hex()
        split = split_of(content, record.group, record.split, self._config.split)
        entries = [*mask_entries(truth.mask), *box_entries(truth.boxes, self._classes)]
        encoded = example_bytes(record, data, content, image, features, self._indices, entries)
        names = record.names or truth.names(self._classes)
        return Converted(record, split, digest, encoded, names)
