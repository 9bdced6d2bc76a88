"""TFRecord files: their sizes, and their records in bounded batches."""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from components.node.records import records

MAX_RECORDS = 10_000
MAX_BYTES = 32 * 1024**2


def size_bytes(paths: Sequence[str]) -> int:
    """Returns the total size of the files, from the file system alone."""
    return sum(int(tf.io.gfile.stat(path).length) for path in paths)


def batches(path: str) -> Iterator[list[bytes]]:
    """Yields lists of a file's records, of about MAX_BYTES or MAX_RECORDS, whichever is less."""
    batch: list[bytes] = []
    volume = 0
    for record in records(path):
        batch.append(record)
        volume += len(record)
        if len(batch) >= MAX_RECORDS or volume >= MAX_BYTES:
            yield batch
            batch, volume = [], 0
    if batch:
        yield batch
