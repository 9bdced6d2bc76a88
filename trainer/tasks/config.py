"""Options of each task; the source's labels determine the task."""

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.raster.frozen import Frozen
from components.raster.task import Task
from trainer.models.decoder_config import Decoder, UNet


class SingleLabelOptions(Frozen):
    """One class an image."""

    name: Literal["single_label"] = "single_label"


class MultiLabelOptions(Frozen):
    """Several classes an image, or none."""

    name: Literal["multi_label"] = "multi_label"
    threshold: float = Field(
        default=0.5, gt=0, lt=1, description="Probability from which a class counts as present."
    )


class RegressionOptions(Frozen):
    """A number an image."""

    name: Literal["regression"] = "regression"
    loss: Literal["huber", "mse"] = Field(
        default="huber",
        description="Of errors in deviations of the train split: huber is linear above one, so "
        "that outliers weigh less; mse is their square.",
    )


class SegmentationOptions(Frozen):
    """A class for each pixel."""

    name: Literal["segmentation"] = "segmentation"
    decoder: Decoder = Field(default_factory=UNet)
    cross_entropy: float = Field(default=1.0, ge=0, description="Weight of that part of the loss.")
    dice: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the Dice loss, which counts each class of an image alike however "
        "few its pixels are.",
    )

    @model_validator(mode="after")
    def _has_a_loss(self) -> Self:
        if not self.cross_entropy and not self.dice:
            raise ValueError("cross_entropy and dice are both 0: nothing would be learnt")
        return self


class DetectionOptions(Frozen):
    """Objects in an image, by a RetinaNet-like detector."""

    name: Literal["detection"] = "detection"
    max_objects: int = Field(
        default=100, ge=1, le=1000, description="The most that an image has, in truth and answer."
    )
    finest_stride_px: Literal[2, 4, 8, 16, 32] = Field(
        default=8, description="Distance of the places where the smallest objects are looked for."
    )
    levels: int = Field(
        default=4,
        ge=1,
        le=6,
        description="Each looks for objects twice as large as the one before.",
    )
    smallest_px: float | None = Field(
        default=None,
        gt=0,
        description="Side of the smallest boxes that are tried; default: twice the finest stride.",
    )
    filters: int = Field(default=128, ge=8, description="Channels of the pyramid and the heads.")
    depth: int = Field(default=2, ge=0, le=8, description="Convolutions of each head.")
    min_score: float = Field(default=0.05, ge=0, lt=1, description="What scores less is no object.")
    max_overlap: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Of two boxes of a class that share more, the better one stays.",
    )


TaskOptions = Annotated[
    SingleLabelOptions
    | MultiLabelOptions
    | RegressionOptions
    | SegmentationOptions
    | DetectionOptions,
    Field(discriminator="name"),
]

_DEFAULTS: dict[Task, Callable[[], TaskOptions]] = {
    "single_label": SingleLabelOptions,
    "multi_label": MultiLabelOptions,
    "regression": RegressionOptions,
    "segmentation": SegmentationOptions,
    "detection": DetectionOptions,
}


def default_options(task: Task) -> TaskOptions:
    """Returns the default options of a task."""
    return _DEFAULTS[task]()
