"""TFRecord files: their sizes, and their records in bounded batches."""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from components.node.records import records

MAX_RECORDS = 10_000
MAX_BYTES = 32 * 1024**2

_READ_AT_ONCE = 64


def size_bytes(paths: Sequence[str]) -> int:
    """Returns the total size of the files, from the file system alone."""
    return sum(int(tf.io.gfile.stat(path).length) for path in paths)


def batches(path: str) -> Iterator[list[bytes]]:
    """Yields lists of a file's records, of about MAX_BYTES or MAX_RECORDS, whichever is less."""
    read = records(path).batch(_READ_AT_ONCE).as_numpy_iterator()
    batch: list[bytes] = []
    volume = 0
    for some in read:
        batch.extend(some)
        volume += sum(map(len, some))
        if len(batch) >= MAX_RECORDS or volume >= MAX_BYTES:
            yield batch
            batch, volume = [], 0
    if batch:
        yield batch
