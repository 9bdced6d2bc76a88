"""Which network learns: the part of the configuration that is declared beside its code."""

from typing import Annotated, Any, Literal

from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.location import Location
from trainer.augment.config import Augment


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
    augment: bool | Augment = Field(
        default=True,
        description="Random views in training; true: flips and quarter turns.",
    )


class Backbone(Frozen):
    """A network of keras.applications below a new head."""

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
    augment: bool | Augment = Field(
        default=False,
        description="Random views in training; true: flips and quarter turns. Without any a frozen "
        "backbone is run only once over the data.",
    )


Model = Annotated[SmallCnn | Backbone, Field(discriminator="kind")]
