"""The objective of trials."""

from dataclasses import dataclass
from typing import Literal

from trainer.training.config import TrainConfig
from trainer.training.progress import less_is_better
from trainer.tune.config import TuneConfig


@dataclass(frozen=True)
class TrialObjective:
    """A metric of the eval split, named as in the learning curve, and its direction."""

    name: str
    direction: Literal["min", "max"]


def trial_objective(tune: TuneConfig, train: TrainConfig) -> TrialObjective:
    """Returns the requested metric, or the one that early stopping monitors, or the loss."""
    monitor = tune.early_stopping.monitor if tune.early_stopping else train.monitor
    name = tune.objective or monitor
    return TrialObjective(name, "min" if less_is_better(name) else "max")
