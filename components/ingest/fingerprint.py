"""The fingerprint of a source, taken before a pipeline starts."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from components.ingest.config import SourceConfig
from components.ingest.files import is_remote
from components.ingest.listing import contents_of
from components.raster.fingerprint import checksums_of_files, fingerprint_of

_STORE_REQUESTS = 32  # at a time: a store answers each in tens of milliseconds


def fingerprint_dataset(source: SourceConfig) -> str:
    """A sha256 in hex that changes when, and only when, what ingest would read changes.

    It covers each image's key, label, labels, split, group, slice features and content, and what
    could not be listed. Content is hashed for local files; a remote file counts by the store's own
    checksum, or generation, or size and time where the store has no more. No TensorFlow is loaded.

    Raises:
        DataError: the source as a whole cannot be read.
    """
    contents = contents_of(source)
    uris = [record.uri for record in contents.records]
    local = [uri for uri in uris if not is_remote(uri)]
    checksums = dict(zip(local, checksums_of_files(local), strict=True))
    checksums |= _store_checksums([uri for uri in uris if is_remote(uri)])
    entries: list[Sequence[object]] = [
        (
            record.key,
            record.label,
            record.labels,
            record.split,
            record.group,
            sorted(record.slices.items()),
            checksums[record.uri],
        )
        for record in contents.records
    ]
    entries += [("reject", reject.key, reject.reason.value) for reject in contents.rejects]
    return fingerprint_of(entries)


def _store_checksums(uris: Sequence[str]) -> dict[str, str]:
    if not uris:
        return {}
    from apache_beam.io.filesystems import FileSystems

    files: Any = FileSystems
    with ThreadPoolExecutor(_STORE_REQUESTS) as pool:
        return dict(zip(uris, pool.map(partial(_store_checksum, files), uris), strict=True))


def _store_checksum(files: Any, uri: str) -> str:
    try:
        return str(files.checksum(uri))
    except Exception as error:  # every store raises its own kind, and ingest will reject the file
        return f"!{type(error).__name__}"
