"""Copies of example files in a folder that several machines share."""

import os
from collections.abc import Sequence

import tensorflow as tf

from trainer.data.examples import list_files


def copy_examples(patterns: Sequence[str], folder: str) -> str:
    """Copies the files of the patterns and returns the pattern of the copies.

    An interrupted copy is repeated; a complete one is reused.

    Raises:
        DataError: there are no examples.
    """
    os.makedirs(folder, exist_ok=True)
    for number, source in enumerate(list_files(patterns)):
        target = os.path.join(folder, f"{number:05d}-{os.path.basename(source)}")
        if os.path.exists(target) and os.path.getsize(target) == tf.io.gfile.stat(source).length:
            continue
        tf.io.gfile.copy(source, f"{folder}/../.partial", overwrite=True)
        os.replace(f"{folder}/../.partial", target)
    return os.path.join(folder, "*")
