"""One trial: a training with other values, by the trainer's own means."""

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
from components.raster.full_disk import full_disk_told
from trainer.distribution.config import StrategyName
from trainer.training.config import TrainConfig
from trainer.training.fit import PROGRESS_FILE
from trainer.training.progress import Epoch, Progress
from trainer.training.train import train
from trainer.tune.objective import Objective
from trainer.tune.search import Search
from trainer.tune.space import Values, apply


class TrialFailed(SkymillError):
    """These values cannot be trained with; others may."""


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        objective: of the epoch that is kept; None where there is none.
        epochs: trained in this trial, those before a kill or an earlier round left out.
        best_epoch: counted from 1 over all epochs.
        seconds: of these epochs.
        message: why it failed; empty where it did not.
    """

    objective: float | None
    epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    message: str = ""

    def write(self, path: str) -> None:
        """Puts the outcome where the chief finds it."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)


@dataclass(frozen=True)
class Rounds:
    """Which epochs a trial of Hyperband trains, out of those of a whole training."""

    begin: int = 0
    end: int | None = None


def run_trial(
    search: Search, values: Values, log_dir: str, checkpoint_dir: str, rounds: Rounds
) -> Outcome:
    """Trains with some values, and goes on where the checkpoints stand.

    A trial of Hyperband follows the learning-rate schedule of a whole training and stops on its
    way, so that the one that goes on does so as if it had never stopped.

    Args:
        values: decoded, by dotted path.
        log_dir: gets the learning curve.

    Raises:
        TrialFailed: these values cannot be trained with.
        SkymillError: no values could be.
    """
    config = trial_config(search, values)
    if rounds.end is not None and len(read_curve(log_dir)) >= rounds.end:
        return outcome(search.objective, read_curve(log_dir), config.monitor, rounds.begin)
    try:
        with full_disk_told():
            train(search.splits, search.image, config, log_dir, checkpoint_dir, _Until(rounds.end))
    except _Enough:
        pass
    finally:
        # A process runs many trials: the next one must find the memory that this one had.
        keras.utils.clear_session(free_memory=True)
        gc.collect()
    return outcome(search.objective, read_curve(log_dir), config.monitor, rounds.begin)


def trial_config(search: Search, values: Values) -> TrainConfig:
    """The configuration of a trial: the trainer's, tuning's own limits, then the values.

    Raises:
        TrialFailed: the values cannot stand together.
    """
    tune = search.tune
    limits: Mapping[str, Any] = {
        # TensorFlow's collectives take one shape of network a process, which runs many trials.
        "strategy": StrategyName.ONE_DEVICE.value,
        "epochs": tune.epochs,
        "steps_per_epoch": tune.steps_per_epoch,
        "early_stopping": tune.early_stopping and tune.early_stopping.model_dump(mode="json"),
    }
    given = {name: value for name, value in limits.items() if value is not None}
    try:
        return apply(apply(search.train, given), values)
    except ValidationError as error:
        raise TrialFailed("; ".join(it["msg"] for it in error.errors())) from error


def outcome(
    objective: Objective, curve: Sequence[Mapping[str, Any]], monitor: str, begin: int = 0
) -> Outcome:
    """What a learning curve comes to; its first `begin` epochs are another trial's.

    Args:
        monitor: by which the trainer chooses the epoch whose weights it keeps; that one counts.

    Raises:
        SkymillError: the curve lacks what is to be judged.
    """
    name = objective.name
    if not curve:
        raise SkymillError("a trial ended without a single epoch")
    if name not in curve[0]:
        known = ", ".join(sorted(key for key in curve[0] if key.startswith("val_")))
        raise SkymillError(f"tune.objective is {name}, which no epoch has; they have {known}")
    kept = Progress(monitor, tuple(Epoch.from_json(row) for row in curve)).best
    assert kept is not None
    own = curve[begin:]
    seconds = sum(float(row["duration_s"]) for row in own)
    return Outcome(kept.value(name), len(own), kept.epoch, round(seconds, 3))


def read_curve(log_dir: str) -> list[dict[str, Any]]:
    """The epochs of a training, as it wrote them down; none where it has not begun."""
    path = os.path.join(log_dir, PROGRESS_FILE)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def forget(checkpoint_dir: str) -> None:
    """Deletes the checkpoints of a trial that nobody will go on from."""
    shutil.rmtree(checkpoint_dir, ignore_errors=True)


class _Enough(Exception):
    """A trial has been trained for as long as it is to be."""


class _Until:
    """Ends a training after an epoch; its checkpoint has been written by then."""

    def __init__(self, epochs: int | None) -> None:
        self._epochs = epochs

    def __call__(self, row: Epoch) -> None:
        if self._epochs is not None and row.epoch >= self._epochs:
            raise _Enough
