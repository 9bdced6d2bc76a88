"""The fit of one model to one source of examples."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import tensorflow as tf

from components.raster.errors import ConfigError, DataError
from trainer.checkpoint import Checkpoints
from trainer.config import TrainConfig
from trainer.dataset import Source
from trainer.errors import TrainingError
from trainer.progress import Epoch, Progress
from trainer.scalars import ScalarLog
from trainer.strategy import check_batch
from trainer.tasks.objective import Objective

HISTORY_FILE = "history.json"
PROGRESS_FILE = "progress.jsonl"

OnEpoch = Callable[[Epoch], None]


@dataclass(frozen=True)
class History:
    """How a training went; the model has the weights of the best epoch."""

    epochs: tuple[Epoch, ...]
    best: Epoch | None
    monitor: str
    stopped_early: bool
    resumed_after_epochs: int
    steps_per_epoch: int
    batch_size: int
    replicas: int

    def to_json(self) -> dict[str, Any]:
        """A plain value for history.json."""
        return {
            **asdict(self),
            "epochs": [row.to_json() for row in self.epochs],
            "best": self.best and self.best.to_json(),
        }


def fit(
    model: keras.Model,
    objective: Objective,
    train: Source,
    evaluation: Source,
    config: TrainConfig,
    log_dir: str,
    checkpoint_dir: str,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Fits the model (inputs to outputs) and leaves it with the weights of its best epoch.

    Where `checkpoint_dir` holds the state of an interrupted fit of the same model, data and
    configuration, the fit goes on after its last whole epoch. `log_dir` receives `progress.jsonl`
    (one row an epoch, as it ends), `history.json`, and event files for TensorBoard. The
    checkpoints stay; whoever keeps the model deletes them.

    Raises:
        TrainingError: the loss is no longer a number.
        DataError: there are too few examples for one step.
        ConfigError: the replicas cannot share the batch evenly, or the task has no metric of the
            name that early stopping monitors.
    """
    _check_monitor(config, objective)
    replicas: int = model.distribute_strategy.num_replicas_in_sync
    check_batch(config.batch_size, model.distribute_strategy)
    _check_examples(train, evaluation, replicas)
    batch_size = min(config.batch_size, train.examples - train.examples % replicas)
    steps = config.steps_per_epoch or train.examples // batch_size
    with model.distribute_strategy.scope():
        _compile(model, objective, config, steps)
        checkpoints = Checkpoints(model, checkpoint_dir)
        progress = checkpoints.restore() or Progress(_monitor(config))
    keeper = _Keeper(progress, checkpoints, config, log_dir, on_epoch)
    done = len(progress.epochs)
    if done < config.epochs and not progress.exhausted(config.early_stopping):
        model.fit(
            _from_step(train, batch_size, config.seed, done * steps),
            initial_epoch=done,
            epochs=config.epochs,
            steps_per_epoch=steps,
            # A replica that gets none of a last small batch would fail.
            validation_data=evaluation.once(batch_size, multiple_of=replicas),
            callbacks=[keeper],
            shuffle=False,
            verbose=0,
        )
    checkpoints.restore_best()
    history = History(
        epochs=keeper.progress.epochs,
        best=keeper.progress.best,
        monitor=keeper.progress.monitor,
        stopped_early=len(keeper.progress.epochs) < config.epochs,
        resumed_after_epochs=done,
        steps_per_epoch=steps,
        batch_size=batch_size,
        replicas=replicas,
    )
    with tf.io.gfile.GFile(f"{log_dir}/{HISTORY_FILE}", "w") as file:
        json.dump(history.to_json(), file, indent=2)
    return history


def _monitor(config: TrainConfig) -> str:
    return config.early_stopping.monitor if config.early_stopping else "val_loss"


def _check_monitor(config: TrainConfig, objective: Objective) -> None:
    known = [f"val_{name}" for name in ("loss", *objective.monitors)]
    if _monitor(config) not in known:
        raise ConfigError(
            f"train.early_stopping.monitor is {_monitor(config)}, but a {objective.task} training "
            f"has {', '.join(known)}."
        )


def _check_examples(train: Source, evaluation: Source, replicas: int) -> None:
    for split, source in (("train", train), ("eval", evaluation)):
        if source.examples < replicas:
            raise DataError(
                f"The {split} split has {source.examples} examples for {replicas} replicas; "
                "each needs at least one: add data or enlarge the split's share."
            )


def _from_step(source: Source, batch_size: int, seed: int, step: int) -> tf.data.Dataset:
    """The endless batches from a step on, as they come in a fit that began at step 0."""
    epoch, within = divmod(step, source.examples // batch_size)
    return source.epochs(batch_size, seed, first_epoch=epoch).skip(within)


def _compile(
    model: keras.Model, objective: Objective, config: TrainConfig, steps_per_epoch: int
) -> None:
    model.compile(
        optimizer=_optimizer(config, steps_per_epoch * config.epochs),
        loss=objective.loss(),
        metrics=objective.metrics(),
        jit_compile=False,
    )
    # Restored slots need variables to go to, and those exist only once the optimizer is built.
    model.optimizer.build(model.trainable_variables)


def _optimizer(config: TrainConfig, total_steps: int) -> keras.optimizers.Optimizer:
    rate: Any = config.peak_learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, total_steps)
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay)
    if config.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    return keras.optimizers.SGD(rate, momentum=0.9)


class _Keeper(keras.callbacks.Callback):
    """Keeps the books after each epoch: curve, logs, checkpoint; and decides whether to go on."""

    def __init__(
        self,
        progress: Progress,
        checkpoints: Checkpoints,
        config: TrainConfig,
        log_dir: str,
        on_epoch: OnEpoch | None,
    ) -> None:
        super().__init__()
        self.progress = progress
        self._checkpoints = checkpoints
        self._config = config
        self._log_dir = log_dir
        self._on_epoch = on_epoch
        self._scalars = ScalarLog(log_dir)
        self._epoch_began_s = 0.0
        _write_rows(f"{log_dir}/{PROGRESS_FILE}", progress, config.epochs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch_began_s = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._require_finite("loss", logs, f"batch {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._require_finite("val_loss", logs, "on the eval split")
        values = {name: float(value) for name, value in (logs or {}).items()}
        row = Epoch(
            epoch=epoch + 1,
            loss=values.pop("loss"),
            val_loss=values.pop("val_loss"),
            metrics=values,
            learning_rate=float(self.model.optimizer.learning_rate),
            duration_s=round(time.monotonic() - self._epoch_began_s, 3),
        )
        self.progress = self.progress.after(row)
        self._checkpoints.save(self.progress)
        _write_rows(f"{self._log_dir}/{PROGRESS_FILE}", self.progress, self._config.epochs)
        self._scalars.write(row)
        if self._on_epoch is not None:
            self._on_epoch(row)
        if self.progress.exhausted(self._config.early_stopping):
            self.model.stop_training = True

    def _require_finite(self, name: str, logs: dict[str, float] | None, where: str) -> None:
        value = float((logs or {})[name])
        if not math.isfinite(value):
            raise TrainingError(
                f"The {name} became {value} in epoch {len(self.progress.epochs) + 1}, {where}; "
                f"lower learning_rate (now {self._config.peak_learning_rate:g}) and train again."
            )


def _write_rows(path: str, progress: Progress, epochs: int) -> None:
    """All rows anew: remote filesystems cannot append, and a resumed fit must not repeat one."""
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "w") as file:
        for row in progress.epochs:
            file.write(json.dumps({**row.to_json(), "epochs": epochs}) + "\n")
