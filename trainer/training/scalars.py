"""Learning curves as event files for TensorBoard."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.training.progress import Epoch


class ScalarLog:
    """Event files in `train/` and `validation/` below a folder, so that TensorBoard overlays them.

    Args:
        folder: local or remote; need not exist.
    """

    def __init__(self, folder: str) -> None:
        self._train = tf.summary.create_file_writer(f"{folder}/train")
        self._validation = tf.summary.create_file_writer(f"{folder}/validation")

    def write(self, row: Epoch) -> None:
        """Writes one epoch and flushes it."""
        validation = {name[4:]: it for name, it in row.metrics.items() if name.startswith("val_")}
        train = {name: it for name, it in row.metrics.items() if not name.startswith("val_")}
        rate = {"learning_rate": row.learning_rate}
        _write(self._train, row.epoch, {"loss": row.loss, **train, **rate})
        _write(self._validation, row.epoch, {"loss": row.val_loss, **validation})


def _write(writer: Any, epoch: int, values: Mapping[str, float]) -> None:
    with writer.as_default(step=epoch):
        for name, value in values.items():
            tf.summary.scalar(f"epoch_{name}", value)
        writer.flush()
