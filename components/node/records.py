"""Files of serialized examples in an artifact."""

import inspect
from collections.abc import Iterator

import tensorflow as tf

from components.raster.batched import batched

#: TensorFlow's reader of records, without its warning that recommends tf.data: whose threads and
#: tensors take two to three times the processor time if records leave the graph as bytes.
_open_records = inspect.unwrap(tf.compat.v1.io.tf_record_iterator)


def shards(folder: str) -> tuple[str, ...]:
    """Lists the TFRecord files of one split, in the order of their names; skips hidden files."""
    if not tf.io.gfile.isdir(folder):
        return ()
    names = sorted(n for n in tf.io.gfile.listdir(folder) if not n.startswith((".", "_")))
    return tuple(f"{folder.rstrip('/')}/{name}" for name in names)


def records(*paths: str) -> Iterator[bytes]:
    """Yields the serialized examples of files; those named .gz are compressed."""
    for path in paths:
        yield from _open_records(path, "GZIP" if path.endswith(".gz") else "")


def record_batches(*paths: str, size: int) -> Iterator[list[bytes]]:
    """Returns the serialized examples of files in lists of `size`; the last one has the rest."""
    return batched(records(*paths), size)
