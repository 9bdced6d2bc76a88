"""The part of the configuration that training reads."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.location import Location


class StrategyName(StrEnum):
    """How the replicas of a training step are spread over devices."""

    AUTO = "auto"
    ONE_DEVICE = "one_device"
    MIRRORED = "mirrored"


class SmallCnn(Frozen):
    """A residual network that learns from scratch on a few thousand small images."""

    kind: Literal["small_cnn"] = "small_cnn"
    filters: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(16, 32, 64, 128),
        min_length=1,
        max_length=8,
        description="Channels of each stage; each of them halves height and width.",
    )
    batch_norm: bool = Field(default=True, description="Batch normalisation after convolutions.")
    dropout: float = Field(default=0.2, ge=0, lt=1)
    augment: bool = Field(default=True, description="Random flips and quarter turns in training.")


class Backbone(Frozen):
    """A network of keras.applications below a new classification layer."""

    kind: Literal["backbone"] = "backbone"
    name: str = Field(default="MobileNetV2", description="As keras.applications spells it.")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments of the constructor, such as alpha."
    )
    weights: Literal["imagenet"] | Location | None = Field(
        default="imagenet",
        description="imagenet (downloaded), a local weights file without the top, or none.",
    )
    rgb: tuple[str, str, str] = Field(
        default=("red", "green", "blue"),
        description="Rasters: the bands that take the weights of red, green and blue, if they are "
        "among image.bands; others take the mean of the three.",
    )
    trainable: Literal["frozen", "all"] = "frozen"
    dropout: float = Field(default=0.5, ge=0, lt=1)
    augment: bool = Field(
        default=False,
        description="Random flips and quarter turns in training; without them a frozen backbone "
        "is run only once over the data.",
    )


Model = Annotated[SmallCnn | Backbone, Field(discriminator="kind")]


class EarlyStopping(Frozen):
    """Stop when the monitored value has not improved for a number of epochs."""

    patience: int = Field(default=10, ge=1, description="Epochs without improvement.")
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"


class TrainConfig(Frozen):
    """How a model is trained. The classes come from the data, the image's shape from its spec."""

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
