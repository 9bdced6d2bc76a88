"""Options of each task; the source's labels determine the task."""

from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from components.raster.frozen import Frozen
from components.raster.task import Task
from trainer.imbalance.config import Weighting
from trainer.models.decoder_config import Decoder, UNet


class Options(Frozen):
    """Options of a task, and what its targets permit of the training's configuration.

    Attributes:
        weighting: what class weights apply to; None for a task that has none, nor a focal loss.
        balances: whether an example has one class, so that sampling can balance the classes.
        smooths: whether labels can be smoothed.
        mixes_whole: whether a mean of two images has the mean of their targets (mixup).
        mixes_parts: whether parts of an image keep their own targets (cutmix).
        scales: whether a temperature can scale the probabilities of the whole image.
        pools: whether the answers of several models have a mean.
        has_one_truth: whether an image has one class or number, which a set or interval may hold.
        seen_by_views: parts of the augmentation's batch that hold the targets.
    """

    weighting: ClassVar[Weighting | None] = None
    balances: ClassVar[bool] = False
    smooths: ClassVar[bool] = False
    mixes_whole: ClassVar[bool] = False
    mixes_parts: ClassVar[bool] = False
    scales: ClassVar[bool] = False
    pools: ClassVar[bool] = False
    has_one_truth: ClassVar[bool] = False
    seen_by_views: ClassVar[tuple[str, ...]] = ()


class SingleLabelOptions(Options):
    """One class per image."""

    name: Literal["single_label"] = "single_label"
    weighting = "examples"
    balances = smooths = mixes_whole = mixes_parts = scales = pools = has_one_truth = True


class MultiLabelOptions(Options):
    """Any number of classes per image."""

    name: Literal["multi_label"] = "multi_label"
    weighting = "presence"
    smooths = mixes_whole = mixes_parts = scales = pools = True
    seen_by_views = ("targets",)
    threshold: float = Field(
        default=0.5, gt=0, lt=1, description="Least probability at which a class counts as present."
    )


class RegressionOptions(Options):
    """One number per image."""

    name: Literal["regression"] = "regression"
    mixes_whole = pools = has_one_truth = True
    seen_by_views = ("targets",)
    loss: Literal["huber", "mse"] = Field(
        default="huber",
        description="Loss of the error, measured in standard deviations of the train split. huber: "
        "squared below 1 and linear above, so that outliers weigh less. mse: squared.",
    )


class SegmentationOptions(Options):
    """One class per pixel."""

    name: Literal["segmentation"] = "segmentation"
    weighting = "pixels"
    mixes_parts = pools = True
    seen_by_views = ("masks",)
    decoder: Decoder = Field(
        default_factory=UNet, description="Decoder from feature maps to a class for each pixel."
    )
    cross_entropy: float = Field(
        default=1.0, ge=0, description="Weight of the cross-entropy in the loss."
    )
    dice: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the Dice loss, in which every class of an image counts equally, "
        "regardless of the number of its pixels.",
    )

    @model_validator(mode="after")
    def _has_a_loss(self) -> Self:
        if not self.cross_entropy and not self.dice:
            raise ValueError("cross_entropy and dice are both 0: nothing would be learnt")
        return self


class DetectionOptions(Options):
    """Objects in an image, found by a detector similar to RetinaNet."""

    name: Literal["detection"] = "detection"
    seen_by_views = ("boxes", "classes")
    max_objects: int = Field(
        default=100,
        ge=1,
        le=1000,
        description="Largest number of objects in an image, true and predicted.",
    )
    finest_stride_px: Literal[2, 4, 8, 16, 32] = Field(
        default=8,
        description="Distance between the anchors of the smallest objects, in pixels of the "
        "model's input.",
    )
    levels: int = Field(
        default=4,
        ge=1,
        le=6,
        description="Levels of the feature pyramid; the objects of each are twice as large as "
        "those of the level before.",
    )
    smallest_px: float | None = Field(
        default=None,
        gt=0,
        description="Side of the smallest anchors, in pixels. Default: twice finest_stride_px.",
    )
    filters: int = Field(
        default=128, ge=8, description="Channels of the feature pyramid and the heads."
    )
    depth: int = Field(default=2, ge=0, le=8, description="Convolutions in each head.")
    min_score: float = Field(
        default=0.05, ge=0, lt=1, description="Least score of a predicted object."
    )
    max_overlap: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Largest intersection over union of two predicted objects of a class; of a "
        "pair above it, the one with the higher score is kept.",
    )


TaskOptions = Annotated[
    SingleLabelOptions
    | MultiLabelOptions
    | RegressionOptions
    | SegmentationOptions
    | DetectionOptions,
    Field(discriminator="name"),
]

_TYPES: dict[Task, type[TaskOptions]] = {
    options.model_fields["name"].default: options for options in get_args(get_args(TaskOptions)[0])
}


def options_type(task: Task) -> type[TaskOptions]:
    """Returns the type of a task's options."""
    return _TYPES[task]


def default_options(task: Task) -> TaskOptions:
    """Returns the default options of a task."""
    return options_type(task)()


def tasks_with_trait(trait: str) -> tuple[Task, ...]:
    """Returns the tasks whose options have a trait, such as `smooths`."""
    return tuple(task for task, options in _TYPES.items() if getattr(options, trait))
