"""What a trial is judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trainer.config import TrainConfig
from trainer.tune.config import TuneConfig

#: Ends of the names of metrics of which less is better.
_LESS = ("loss", "error", "mae", "mse", "rmse")


@dataclass(frozen=True)
class Objective:
    """A metric of the eval split, as the learning curve names it, and which way is better."""

    name: str
    direction: Literal["min", "max"]

    def best(self, curve: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """The best epoch of a learning curve; the first of equally good ones."""
        sign = -1 if self.direction == "min" else 1
        return max(curve, key=lambda row: sign * float(row[self.name]))


def objective_of(tune: TuneConfig, train: TrainConfig) -> Objective:
    """The metric that is asked for, or the one that early stopping monitors, or the loss."""
    stopping = tune.early_stopping or train.early_stopping
    monitor = stopping.monitor if stopping else "val_loss"
    name = tune.objective or monitor or "val_loss"
    return Objective(name, "min" if name.endswith(_LESS) else "max")
