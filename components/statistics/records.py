"""TFRecord files: their sizes, and their records in small chunks."""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from components.node.records import records

#: Few enough that records and their decoded values stay in the processor's cache.
_CHUNK_RECORDS = 500
_CHUNK_BYTES = 2 * 1024**2


def size_bytes(paths: Sequence[str]) -> int:
    """Returns the total size of the files, from the file system."""
    return sum(int(tf.io.gfile.stat(path).length) for path in paths)


def chunks(path: str) -> Iterator[list[bytes]]:
    """Yields a file's records in lists of about 2 MiB or 500 records, whichever is less."""
    chunk: list[bytes] = []
    volume = 0
    for record in records(path):
        chunk.append(record)
        volume += len(record)
        if len(chunk) >= _CHUNK_RECORDS or volume >= _CHUNK_BYTES:
            yield chunk
            chunk, volume = [], 0
    if chunk:
        yield chunk
