"""Progress of a training after each epoch: the curve, the best epoch, and early stopping."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from trainer.training.config import EarlyStopping, Stage

#: The learning curve: a row of JSON for each epoch, as it ends.
PROGRESS_FILE = "progress.jsonl"
#: File beside a resumed training's curve that names the checkpoint's position.
RESUMED_FILE = "resumed.json"
_MEMBER = "member_"
#: Metrics where less is better have these endings.
_FALLING = ("loss", "error", "cost", "mae", "rmse")


def less_is_better(name: str) -> bool:
    """Checks whether a smaller value of a loss or metric is better."""
    return name.endswith(_FALLING)


def resumed_text(epochs: int, steps: int) -> str:
    """Describes where a training resumes; `steps` counts those done in the current epoch."""
    if not steps:
        return f"resumed from epoch {epochs}"
    return f"resumed from epoch {epochs + 1}, step {steps}"


def member_folder(number: int) -> str:
    """Returns the folder of an ensemble's member, counted from 1, among logs or checkpoints."""
    return f"{_MEMBER}{number}"


def member_label(folder: str) -> str:
    """Describes the training whose logs are in a folder: `member 2  `, or nothing."""
    name = folder.rpartition("/")[2]
    return f"member {name.removeprefix(_MEMBER)}  " if name.startswith(_MEMBER) else ""


@dataclass(frozen=True)
class Epoch:
    """One row of the learning curve; epochs count from 1.

    Attributes:
        metrics: the task's metrics, by name; those of the eval split begin with `val_`.
        stage: stage of the training, counted from 1.
    """

    epoch: int
    loss: float
    val_loss: float
    metrics: Mapping[str, float]
    learning_rate: float
    duration_s: float
    stage: int = 1

    def value(self, name: str) -> float:
        """Returns a loss or a metric by its name."""
        losses = {"loss": self.loss, "val_loss": self.val_loss}
        return losses[name] if name in losses else self.metrics[name]

    def score(self, monitor: str) -> float:
        """Returns the monitored value, with its sign set so that more is better."""
        value = self.value(monitor)
        return -value if less_is_better(monitor) else value

    def to_json(self) -> dict[str, Any]:
        """Returns a flat row that `from_json` reads."""
        row = asdict(self)
        metrics = row.pop("metrics")
        return {**row, **metrics}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Epoch":
        """Returns the epoch that `to_json` wrote."""
        own = {field.name for field in fields(cls)}
        metrics = {name: value for name, value in row.items() if name not in own}
        return cls(**{name: row[name] for name in own & row.keys()}, metrics=metrics)


@dataclass(frozen=True)
class TrainingProgress:
    """The epochs so far. The first of equally good epochs is the best."""

    monitor: str = "val_loss"
    epochs: tuple[Epoch, ...] = field(default=())

    @property
    def best(self) -> Epoch | None:
        """The best epoch by the monitored value; None before the first."""
        return max(self.epochs, key=lambda row: row.score(self.monitor), default=None)

    def after(self, row: Epoch) -> "TrainingProgress":
        """Returns the progress with one more epoch."""
        return TrainingProgress(self.monitor, (*self.epochs, row))

    def of_stage(self, number: int) -> tuple[Epoch, ...]:
        """Returns the epochs of a stage, counted from 1."""
        return tuple(row for row in self.epochs if row.stage == number)

    def exhausted(self, stopping: EarlyStopping | None, number: int = 1) -> bool:
        """Checks whether a stage has run out of patience with the monitored value.

        The best of all epochs so far counts, but patience starts anew with each stage.
        """
        own = self.of_stage(number)
        if stopping is None or not own:
            return False
        best = TrainingProgress(self.monitor, self.epochs[: own[-1].epoch]).best
        since = max(best.epoch if best else 0, own[0].epoch - 1)
        return own[-1].epoch - since >= stopping.patience

    def is_under_way(self, number: int, stage: Stage, stopping: EarlyStopping | None) -> bool:
        """Checks whether a stage has epochs and patience left."""
        return len(self.of_stage(number)) < stage.epochs and not self.exhausted(stopping, number)

    def stage_under_way(
        self, stages: Sequence[Stage], stopping: EarlyStopping | None
    ) -> int | None:
        """Returns the number of the first stage that has not ended, or None."""
        numbered = enumerate(stages, start=1)
        return next((n for n, stage in numbered if self.is_under_way(n, stage, stopping)), None)

    def to_json(self) -> dict[str, Any]:
        """Returns a plain value that `from_json` reads."""
        return {"monitor": self.monitor, "epochs": [row.to_json() for row in self.epochs]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "TrainingProgress":
        """Returns the progress that `to_json` wrote."""
        return cls(value["monitor"], tuple(Epoch.from_json(row) for row in value["epochs"]))
