"""Fingerprint of a source, taken before a pipeline starts."""

import uuid
from collections.abc import Sequence
from typing import Any

from components.ingest.config import SourceConfig
from components.ingest.files.checksums import UNKNOWN, content_checksums
from components.ingest.records.family import Checksums
from components.ingest.sources import family_of
from components.raster.fingerprint import fingerprint_of
from components.raster.spatial.rules import ByArea, SplitRule


def fingerprint_dataset(source: SourceConfig, split_by: SplitRule | None = None) -> str:
    """Computes a sha256 in hex that changes when, and only when, ingest's input changes.

    It covers each image's key, truth, split, group, slice features and content, and what could not
    be listed. Content is hashed for local files; a remote file counts by the store's own checksum,
    or generation, or size and time where the store has no more. If a
    file has no known state, 32 random digits and a hyphen precede. No TensorFlow is loaded.
    Of scenes it covers every file of every band and its catalogue entry, the files of
    labels and the area of interest; of any source the areas that its split is drawn by.

    Raises:
        DataError: the source as a whole cannot be read.
    """
    return fingerprint_by(content_checksums, source, split_by)


def fingerprint_by(
    checksums_of: Checksums,
    source: SourceConfig,
    split_by: SplitRule | None = None,
    found: Any = None,
) -> str:
    """Computes `fingerprint_dataset` with other checksums of files' content.

    Args:
        checksums_of: called once, for all files that ingest would read.
        source: what is read.
        split_by: the rule of its splits.
        found: what the source's family finds; None looks now.
    """
    is_known = True

    def noted(uris: Sequence[str]) -> dict[str, str]:
        nonlocal is_known
        checksums = checksums_of(uris)
        is_known = UNKNOWN not in checksums.values()
        return checksums

    family = family_of(source)
    split_files = [split_by.path] if isinstance(split_by, ByArea) else []
    entries = family.fingerprint(family.find() if found is None else found, noted, split_files)
    digest = fingerprint_of(entries)
    return digest if is_known else f"{uuid.uuid4().hex}-{digest}"


def same_data(one: str, other: str) -> bool:
    """Checks whether two fingerprints are of the same data, as far as file states show."""
    return one.rpartition("-")[2] == other.rpartition("-")[2]
