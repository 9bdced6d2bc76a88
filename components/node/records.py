"""Files of serialized examples in an artifact."""

import tensorflow as tf


def shards(folder: str) -> tuple[str, ...]:
    """Lists the TFRecord files of one split, in the order of their names; skips hidden files."""
    if not tf.io.gfile.isdir(folder):
        return ()
    names = sorted(n for n in tf.io.gfile.listdir(folder) if not n.startswith((".", "_")))
    return tuple(f"{folder.rstrip('/')}/{name}" for name in names)


def records(path: str) -> tf.data.TFRecordDataset:
    """Opens a file of serialized examples, compressed if its name ends with .gz."""
    return tf.data.TFRecordDataset(path, "GZIP" if path.endswith(".gz") else "")
