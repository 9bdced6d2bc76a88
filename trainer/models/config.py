"""Configuration of the network, declared beside its code."""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from components.raster.band_names import BandRequest
from components.raster.errors import ConfigError
from components.raster.extension import Built
from components.raster.fingerprint import checksums_of_files, fingerprint_of
from components.raster.frozen import Frozen
from components.raster.location import Location, anchored
from trainer.augment.config import Augment

_PRESET_FILES = ("config.json", "image_converter.json")


class SmallCnn(Frozen):
    """A residual network trained from scratch, for a few thousand small images."""

    pretrained: ClassVar[bool] = False
    frozen: ClassVar[bool] = False

    kind: Literal["small_cnn"] = "small_cnn"
    filters: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(16, 32, 64, 128),
        min_length=1,
        max_length=8,
        description="Channels of each stage; every stage halves height and width.",
    )
    batch_norm: bool = Field(
        default=True, description="Batch normalisation after each convolution."
    )
    dropout: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="Dropout rate before the head.",
    )
    augment: bool | Augment = Field(
        default=True,
        description="Random views in training; true: flips and quarter turns.",
    )

    def contents(self) -> dict[str, str]:
        """Returns the content digests of the named files, by field: none here."""
        return {}


class _Body(Frozen):
    """Settings of a body with pretrained weights and a new head."""

    rgb: tuple[BandRequest, BandRequest, BandRequest] = Field(
        default=("red", "green", "blue"),
        description="For rasters: the bands that get the pretrained weights of red, green and "
        "blue, if they are among image.bands; other bands get the mean of the three.",
    )
    trainable: Literal["frozen", "all"] = Field(
        default="frozen",
        description="The trained part if there are no stages. frozen: the new head; all: the "
        "whole network.",
    )
    dropout: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="Dropout rate before the head.",
    )
    augment: bool | Augment = Field(
        default=False,
        description="Random views in training; true: flips and quarter turns. Without views, a "
        "frozen backbone runs only once over the data.",
    )

    @property
    def frozen(self) -> bool:
        """True if only the head is trained, where no stages are given."""
        return self.trainable == "frozen"


class Backbone(_Body):
    """A network of keras.applications with a new head."""

    kind: Literal["backbone"] = "backbone"
    name: str = Field(
        default="MobileNetV2", description="Name in keras.applications, such as EfficientNetV2B0."
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments of the constructor, such as alpha."
    )
    weights: Literal["imagenet"] | Location | None = Field(
        default="imagenet",
        description="imagenet (downloaded), or a local weights file without the top. null: no "
        "pretrained weights.",
    )

    @property
    def pretrained(self) -> bool:
        """True if it is loaded with weights."""
        return self.weights is not None

    def contents(self) -> dict[str, str]:
        """Returns the content digests of the named files, by field."""
        if self.weights in (None, "imagenet") or not os.path.isfile(self.weights):
            return {}
        return {"weights": next(checksums_of_files([self.weights]))}


def is_folder(preset: str) -> bool:
    """Checks whether a preset is a local folder, and not a name or a hub's handle."""
    return "/" in preset and "://" not in preset


def _anchored_folder(preset: str, info: ValidationInfo) -> str:
    return anchored(preset, info) if is_folder(preset) else preset


def require_preset_folder(folder: str) -> None:
    """Raises ConfigError if a folder lacks a part of a preset."""
    missing = [name for name in _PRESET_FILES if not Path(folder, name).is_file()]
    if missing:
        raise ConfigError(
            f"model.preset is {folder!r}, which lacks {' and '.join(missing)}. Write the folder "
            "with save_to_preset of a KerasHub backbone and of its image converter, which "
            "defines the scaling of the pixels."
        )


class Preset(_Body):
    """A network saved by KerasHub, with its preprocessing, and a new head."""

    kind: Literal["preset"] = "preset"
    preset: Annotated[str, Field(min_length=1), AfterValidator(_anchored_folder)] = Field(
        description="A name that KerasHub knows (resnet_18_imagenet), a handle (kaggle://..., "
        "hf://...), or a folder written by save_to_preset. A value with a slash and no "
        "scheme is a folder (./my_preset).",
    )
    weights: bool = Field(default=True, description="false: the network is trained from scratch.")

    @property
    def pretrained(self) -> bool:
        """True if it is loaded with weights."""
        return self.weights

    def contents(self) -> dict[str, str]:
        """Returns the content digest of the preset's folder, by field."""
        folder = Path(self.preset)
        if not is_folder(self.preset) or not folder.is_dir():
            return {}
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        checksums = checksums_of_files([str(path) for path in files])
        names = [path.relative_to(folder).as_posix() for path in files]
        return {"preset": fingerprint_of(zip(names, checksums, strict=True))}


class Custom(Built):
    """Your own network, below a new head: see docs/extending.md."""

    group: ClassVar[str] = "skymill.models"
    offers: ClassVar[tuple[str, ...]] = ("input_shape", "bands")

    kind: Literal["custom"] = "custom"
    weights: Location | None = Field(
        default=None, description="A Keras weights file of the whole network."
    )
    has_weights: bool = Field(
        default=False,
        description="true: the built network has pretrained weights; its batch normalisation keeps "
        "its statistics, as with weights.",
    )
    trainable: Literal["frozen", "all"] = Field(
        default="all",
        description="The trained part if there are no stages. frozen: the head; all: the whole "
        "network.",
    )
    dropout: float = Field(default=0.2, ge=0, lt=1, description="Dropout rate before the head.")
    augment: bool | Augment = Field(
        default=True, description="Random views in training; true: flips and quarter turns."
    )

    @property
    def pretrained(self) -> bool:
        """True if it is loaded with weights."""
        return self.has_weights or self.weights is not None

    @property
    def frozen(self) -> bool:
        """True if only the head is trained, where no stages are given."""
        return self.trainable == "frozen"

    def contents(self) -> dict[str, str]:
        """Returns the content digests of the named files, by field."""
        if self.weights is None or not os.path.isfile(self.weights):
            return {}
        return {"weights": next(checksums_of_files([self.weights]))}


Model = Annotated[SmallCnn | Backbone | Preset | Custom, Field(discriminator="kind")]
