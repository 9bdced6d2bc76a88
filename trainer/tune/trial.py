"""One trial: a training with other values, run by the trainer."""

import gc
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
from pydantic import ValidationError

from components.raster.errors import SkymillError
from components.raster.frozen import message_in
from components.raster.full_disk import full_disk_as_error
from trainer.distribution.config import StrategyName
from trainer.training.config import TrainConfig
from trainer.training.progress import PROGRESS_FILE, Epoch, TrainingProgress
from trainer.training.train import train
from trainer.tune.objective import TrialObjective
from trainer.tune.search import Search
from trainer.tune.space import Values, apply


class TrialFailed(SkymillError):
    """Training failed with these values; others may work."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a trial.

    Attributes:
        objective: objective of the best epoch, or None.
        epochs: epochs trained in this trial, without those before a kill or of an earlier round.
        best_epoch: counted from 1 over all epochs.
        seconds: duration of these epochs.
        message: reason of a failure, or empty.
    """

    objective: float | None
    epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    message: str = ""

    def write(self, path: str) -> None:
        """Writes the outcome for the chief."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)


@dataclass(frozen=True)
class Rounds:
    """The epochs that a trial of Hyperband trains, out of a whole training."""

    begin: int = 0
    end: int | None = None


def run_trial(
    search: Search, values: Values, log_dir: str, checkpoint_dir: str, rounds: Rounds
) -> Outcome:
    """Trains with some values, resuming from checkpoints.

    A trial of Hyperband follows the learning-rate schedule of a whole training and stops early, so
    that its continuation equals an uninterrupted training.

    Args:
        values: decoded, by dotted path.
        log_dir: receives the learning curve.

    Raises:
        TrialFailed: training fails with these values.
        SkymillError: training would fail with any values.
    """
    config = trial_config(search, values)
    if rounds.end is not None and len(read_curve(log_dir)) >= rounds.end:
        return outcome(search.objective, read_curve(log_dir), config.monitor, rounds.begin)
    try:
        with full_disk_as_error():
            train(
                search.splits,
                search.image,
                config,
                log_dir,
                checkpoint_dir,
                _StopAfterEpoch(rounds.end),
            )
    except _LastEpochReached:
        pass
    finally:
        # A process runs many trials, so this one's memory is freed for the next.
        keras.utils.clear_session(free_memory=True)
        gc.collect()
    return outcome(search.objective, read_curve(log_dir), config.monitor, rounds.begin)


def trial_config(search: Search, values: Values) -> TrainConfig:
    """Returns the configuration of a trial: the trainer's, tuning's own limits, then the values.

    A trial trains one network, also for an ensemble.

    Raises:
        TrialFailed: the values are invalid in combination.
    """
    tune = search.tune
    limits: Mapping[str, Any] = {
        # TensorFlow's collectives support one network shape per process, while a worker runs many
        # trials.
        "strategy": StrategyName.ONE_DEVICE.value,
        "epochs": tune.epochs,
        "steps_per_epoch": tune.steps_per_epoch,
        "early_stopping": tune.early_stopping and tune.early_stopping.model_dump(mode="json"),
    }
    given = {name: value for name, value in limits.items() if value is not None}
    try:
        return apply(apply(search.train, given), values).members[0]
    except ValidationError as error:
        raise TrialFailed("; ".join(map(message_in, error.errors()))) from error


def outcome(
    objective: TrialObjective, curve: Sequence[Mapping[str, Any]], monitor: str, begin: int = 0
) -> Outcome:
    """Derives the outcome from a learning curve; its first `begin` epochs are another trial's.

    Args:
        monitor: the metric by which the trainer selects the best epoch, whose objective counts.

    Raises:
        SkymillError: the curve lacks the objective.
    """
    name = objective.name
    if not curve:
        raise SkymillError("a trial ended without a single epoch")
    if name not in curve[0]:
        known = ", ".join(sorted(key for key in curve[0] if key.startswith("val_")))
        raise SkymillError(f"tune.objective is {name}, which no epoch has; they have {known}")
    kept = TrainingProgress(monitor, tuple(Epoch.from_json(row) for row in curve)).best
    assert kept is not None
    own = curve[begin:]
    seconds = sum(float(row["duration_s"]) for row in own)
    return Outcome(kept.value(name), len(own), kept.epoch, round(seconds, 3))


def read_curve(log_dir: str) -> list[dict[str, Any]]:
    """Reads the learning curve of a training; empty if it has not begun."""
    path = os.path.join(log_dir, PROGRESS_FILE)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def forget(checkpoint_dir: str) -> None:
    """Deletes a trial's checkpoints once no trial will continue from them."""
    shutil.rmtree(checkpoint_dir, ignore_errors=True)


class _LastEpochReached(Exception):
    """A trial has reached its last epoch."""


class _StopAfterEpoch:
    """Ends a training after an epoch, whose checkpoint has been written by then."""

    def __init__(self, epochs: int | None) -> None:
        self._epochs = epochs

    def __call__(self, row: Epoch) -> None:
        if self._epochs is not None and row.epoch >= self._epochs:
            raise _LastEpochReached
