"""What is known of a training after each epoch: the curve, the best epoch, and when to stop."""

from dataclasses import asdict, dataclass, field
from typing import Any

from trainer.config import EarlyStopping


@dataclass(frozen=True)
class Epoch:
    """One row of the learning curve; epochs count from 1."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    duration_s: float

    def score(self, monitor: str) -> float:
        """The monitored value, turned so that more is better."""
        value = float(getattr(self, monitor))
        return -value if monitor.endswith("loss") else value


@dataclass(frozen=True)
class Progress:
    """The epochs so far. The first of equally good epochs is the best one."""

    monitor: str = "val_loss"
    epochs: tuple[Epoch, ...] = field(default=())

    @property
    def best(self) -> Epoch | None:
        """The best epoch by the monitored value; None before the first."""
        return max(self.epochs, key=lambda row: row.score(self.monitor), default=None)

    def after(self, row: Epoch) -> "Progress":
        """The progress with one more epoch."""
        return Progress(self.monitor, (*self.epochs, row))

    def exhausted(self, stopping: EarlyStopping | None) -> bool:
        """Whether the patience with the monitored value has run out."""
        if stopping is None or self.best is None:
            return False
        return len(self.epochs) - self.best.epoch >= stopping.patience

    def to_json(self) -> dict[str, Any]:
        """A plain value that `from_json` takes back."""
        return {"monitor": self.monitor, "epochs": [asdict(row) for row in self.epochs]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Progress":
        """The progress that `to_json` wrote."""
        return cls(value["monitor"], tuple(Epoch(**row) for row in value["epochs"]))
