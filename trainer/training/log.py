"""Training progress: curve rows, event files and callbacks."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from trainer.training.progress import PROGRESS_FILE, RESUMED_FILE, Epoch, TrainingProgress

OnEpoch = Callable[[Epoch], None]


class TrainingLog:
    """Writes `progress.jsonl` and TensorBoard's event files to a folder and calls `on_epoch`.

    Args:
        log_dir: local or remote; need not exist.
        epochs: maximum number of epochs.
        writes: whether this worker writes; only one of several does.
    """

    def __init__(
        self, log_dir: str, epochs: int, on_epoch: OnEpoch | None, writes: bool = True
    ) -> None:
        self._folder, self._path = log_dir, f"{log_dir}/{PROGRESS_FILE}"
        self._epochs = epochs
        self._on_epoch = on_epoch
        self._scalars = ScalarLog(log_dir) if writes else None

    def begin(self, progress: TrainingProgress, steps: int = 0) -> None:
        """Writes the rows known so far, since each attempt of a training may have its own folder.

        Args:
            steps: completed steps of the next epoch.
        """
        if self._scalars is None:
            return
        if not tf.io.gfile.exists(self._path):
            for row in progress.epochs:
                self._scalars.write(row)
        tf.io.gfile.makedirs(self._folder)
        if progress.epochs or steps:
            with tf.io.gfile.GFile(f"{self._folder}/{RESUMED_FILE}", "w") as file:
                json.dump({"epochs": len(progress.epochs), "steps": steps}, file)
        self._write(progress)

    def enter(self, progress: TrainingProgress) -> None:
        """Records the last epoch."""
        if self._scalars is None:
            return
        self._write(progress)
        self._scalars.write(progress.epochs[-1])
        if self._on_epoch is not None:
            self._on_epoch(progress.epochs[-1])

    def _write(self, progress: TrainingProgress) -> None:
        """Rewrites all rows: remote filesystems cannot append, and no row may occur twice."""
        with tf.io.gfile.GFile(self._path, "w") as file:
            for row in progress.epochs:
                file.write(json.dumps({**row.to_json(), "epochs": self._epochs}) + "\n")


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


def write_report(log_dir: str, name: str, report: Mapping[str, Any]) -> None:
    """Writes a report of a training as JSON to its logs."""
    tf.io.gfile.makedirs(log_dir)
    with tf.io.gfile.GFile(f"{log_dir}/{name}", "w") as file:
        json.dump(report, file, indent=2)
