"""The part of the configuration that training reads."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from components.raster.frozen import Frozen
from trainer.models.config import Backbone as Backbone
from trainer.models.config import Model
from trainer.models.config import SmallCnn as SmallCnn
from trainer.tasks.config import TaskOptions


class StrategyName(StrEnum):
    """How the replicas of a training step are spread over devices."""

    AUTO = "auto"
    ONE_DEVICE = "one_device"
    MIRRORED = "mirrored"


class EarlyStopping(Frozen):
    """Stop when the monitored value has not improved for a number of epochs."""

    patience: int = Field(default=10, ge=1, description="Epochs without improvement.")
    monitor: str = Field(
        default="val_loss",
        pattern="^val_",
        description="val_loss, or val_ and the name of one of the task's metrics, such as "
        "val_accuracy.",
    )


class TrainConfig(Frozen):
    """How a model is trained. Task and classes come from the data, the shape from its spec."""

    task: TaskOptions | None = Field(
        default=None,
        description="Options of the task. Which task it is, the source's labels say, and its name "
        "here must be the same; default: its defaults.",
    )
    model: Model = Field(default_factory=SmallCnn)
    batch_size: int = Field(default=32, ge=1, description="Global: over all replicas.")
    epochs: int = Field(default=25, ge=1)
    steps_per_epoch: int | None = Field(
        default=None, ge=1, description="None: as many whole batches as the train split has."
    )
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="None: 0.002 for what starts from scratch, 0.001 for the head of a frozen "
        "backbone, 0.0003 for fine-tuning all of one.",
    )
    schedule: Literal["cosine", "constant"] = Field(
        default="cosine", description="cosine: falls from learning_rate to 0 over all epochs."
    )
    weight_decay: float = Field(default=0.01, ge=0, description="adamw only.")
    early_stopping: EarlyStopping | None = Field(default_factory=EarlyStopping)
    seed: int = Field(default=0, ge=0, lt=2**31)
    deterministic_ops: bool = Field(default=False, description="Same result to the bit; slower.")
    strategy: StrategyName = StrategyName.AUTO
    cache: Literal["auto", "memory", "none"] = Field(
        default="auto", description="auto: decoded images stay in memory below cache_limit_mb."
    )
    cache_limit_mb: int = Field(default=2048, ge=0)
    shuffle_buffer: int = Field(
        default=4096, ge=1, description="Examples; only where images do not stay in memory."
    )

    @property
    def peak_learning_rate(self) -> float:
        """The given learning rate, or the one that suits what is learnt."""
        if self.learning_rate is not None:
            return self.learning_rate
        if isinstance(self.model, SmallCnn) or self.model.weights is None:
            return 2e-3
        return 1e-3 if self.model.trainable == "frozen" else 3e-4
