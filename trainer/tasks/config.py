"""What may be chosen of each task; which task it is, the source's labels say."""

from typing import Annotated, Literal

from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.task import Task


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


TaskOptions = Annotated[
    SingleLabelOptions | MultiLabelOptions | RegressionOptions, Field(discriminator="name")
]

_DEFAULTS: dict[Task, type[SingleLabelOptions | MultiLabelOptions | RegressionOptions]] = {
    "single_label": SingleLabelOptions,
    "multi_label": MultiLabelOptions,
    "regression": RegressionOptions,
}


def default_options(task: Task) -> TaskOptions | None:
    """The options of a task as they are without a word; None where it cannot be trained."""
    return _DEFAULTS[task]() if task in _DEFAULTS else None
