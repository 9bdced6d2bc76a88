"""The learning curve as event files that TensorBoard reads, without needing TensorBoard."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.progress import Epoch


class ScalarLog:
    """Event files in `train/` and `validation/` below a folder, so that TensorBoard overlays them.

    Args:
        folder: local or remote; need not exist.
    """

    def __init__(self, folder: str) -> None:
        self._train = tf.summary.create_file_writer(f"{folder}/train")
        self._validation = tf.summary.create_file_writer(f"{folder}/validation")

    def write(self, row: Epoch) -> None:
        """Writes one epoch, at once."""
        validation = {name[4:]: it for name, it in row.metrics.items() if name.startswith("val_")}
        train = {name: it for name, it in row.metrics.items() if not name.startswith("val_")}
        rate = {"learning_rate": row.learning_rate}
        _write(self._train, row.epoch, {"loss": row.loss, **train, **rate})
        _write(self._validation, row.epoch, {"loss": row.val_loss, **validation})


def _write(writer: Any, epoch: int, values: Mapping[str, float]) -> None:
    with writer.as_default(step=epoch):
        for name, value in values.items():
            _scalar(f"epoch_{name}", value)
        writer.flush()


def _scalar(name: str, value: float) -> None:
    """What tf.summary.scalar writes; that one function is not in TensorFlow but in TensorBoard."""
    metadata = tf.compat.v1.SummaryMetadata(data_class="DATA_CLASS_SCALAR")
    metadata.plugin_data.plugin_name = "scalars"
    tf.summary.write(name, tf.constant(value, tf.float32), metadata=metadata)
