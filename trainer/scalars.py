"""The learning curve as event files that TensorBoard reads, without needing TensorBoard."""

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
        with self._train.as_default(step=row.epoch):
            _scalar("epoch_loss", row.loss)
            _scalar("epoch_accuracy", row.accuracy)
            _scalar("epoch_learning_rate", row.learning_rate)
            self._train.flush()
        with self._validation.as_default(step=row.epoch):
            _scalar("epoch_loss", row.val_loss)
            _scalar("epoch_accuracy", row.val_accuracy)
            self._validation.flush()


def _scalar(name: str, value: float) -> None:
    """What tf.summary.scalar writes; that one function is not in TensorFlow but in TensorBoard."""
    metadata = tf.compat.v1.SummaryMetadata(data_class="DATA_CLASS_SCALAR")
    metadata.plugin_data.plugin_name = "scalars"
    tf.summary.write(name, tf.constant(value, tf.float32), metadata=metadata)
