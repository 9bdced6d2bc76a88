"""Fingerprint of a source, taken before a pipeline starts."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from components.ingest.config import SourceConfig
from components.ingest.files.checksums import UNKNOWN, content_checksums
from components.ingest.records.family import ChecksumsOf, Entries, FingerprintInput
from components.ingest.sources import family_of
from components.raster.fingerprint import fingerprint_of
from components.raster.spatial.rules import SplitRule


def fingerprint_dataset(source: SourceConfig, split_by: SplitRule | None = None) -> str:
    """Computes a sha256 in hex that changes if, and only if, ingest's input changes.

    It covers each image's key, truth, split, group, slice features and content, and items that
    could not be listed. Content is hashed for local files; a remote file counts by the store's own
    checksum or generation, or by size and time if the store has no more. If a file has no known
    state, 32 random digits and a hyphen precede the hash. TensorFlow is not loaded.
    For scenes it covers every file of every band and its catalogue entry, the files of labels and
    the area of interest; for any source, the areas by which its split is drawn.

    Raises:
        DataError: the source as a whole cannot be read.
    """
    covered = fingerprint_input(source, split_by)
    return fingerprint_with(content_checksums, covered.entries)


def fingerprint_input(
    source: SourceConfig, split_by: SplitRule | None = None, found: Any = None
) -> FingerprintInput:
    """Returns the files and entries that a fingerprint covers.

    Args:
        source: to read.
        split_by: the rule of its splits.
        found: result of the family's `find`; None calls it now.

    Raises:
        DataError: the source as a whole cannot be read.
    """
    family = family_of(source)
    split_files = [] if split_by is None else split_by.files
    return family.fingerprint_input(family.find() if found is None else found, split_files)


def fingerprint_with(
    checksums_of: ChecksumsOf,
    entries: Callable[[ChecksumsOf], Entries],
    digests: Iterable[bytes] = (),
) -> str:
    """Computes a fingerprint from the checksums of the files that it covers.

    Args:
        checksums_of: yields them.
        entries: yields the entries, from the checksums.
        digests: of further entries.
    """
    unknown = False

    def noted(files: Iterable[str]) -> Iterator[str]:
        nonlocal unknown
        for checksum in checksums_of(files):
            unknown |= checksum == UNKNOWN
            yield checksum

    digest = fingerprint_of(entries(noted), digests)
    return f"{uuid.uuid4().hex}-{digest}" if unknown else digest


def same_data(one: str, other: str) -> bool:
    """Checks whether two fingerprints are of the same data, as far as file states tell."""
    return one.rpartition("-")[2] == other.rpartition("-")[2]
