"""Builds the training objective from a task's name and options."""

from collections.abc import Sequence

from components.raster.errors import ConfigError
from components.raster.example import NUMBER
from components.raster.image import ImageSpec
from components.raster.task import Task
from trainer.data.examples import spread_of
from trainer.imbalance.emphasis import Emphasis
from trainer.tasks.config import (
    DetectionOptions,
    MultiLabelOptions,
    RegressionOptions,
    SegmentationOptions,
    SingleLabelOptions,
    TaskOptions,
    default_options,
)
from trainer.tasks.detection import Detection
from trainer.tasks.multi_label import MultiLabel
from trainer.tasks.objective import Objective
from trainer.tasks.regression import Regression
from trainer.tasks.segmentation import Segmentation
from trainer.tasks.single_label import SingleLabel


def make_objective(
    task: Task,
    options: TaskOptions | None,
    classes: tuple[str, ...],
    image: ImageSpec,
    train_files: Sequence[str],
    smoothing: float = 0.0,
    emphasis: Emphasis | None = None,
) -> Objective:
    """Builds the training objective of a task.

    Args:
        task: task of the examples.
        options: options of the same task; None for its defaults.
        classes: names, in the order of their indices; empty for regression.
        image: spec of the model's input.
        train_files: files of the train split, for statistics of the targets.
        smoothing: share of the truth spread over all classes.
        emphasis: on rare and difficult classes; None: none.

    Raises:
        ConfigError: the options are those of another task.
        DataError: the files cannot be read, or hold no target of the task.
    """
    chosen, emphasis = options or default_options(task), emphasis or Emphasis()
    if chosen.name != task:
        raise ConfigError(
            f"train.task.name is {chosen.name}, but the source gives {task} examples: leave "
            "train.task out, or change the source's target or columns."
        )
    if smoothing and task not in ("single_label", "multi_label"):
        raise ConfigError(
            f"train.label_smoothing is {smoothing}, but it is for the classes of whole images, and "
            f"the source gives {task} examples; leave it out."
        )
    match chosen:
        case SingleLabelOptions():
            return SingleLabel(classes, smoothing, emphasis.soft, emphasis.gamma)
        case MultiLabelOptions():
            return MultiLabel(
                classes, chosen.threshold, smoothing, emphasis.positive, emphasis.gamma
            )
        case RegressionOptions():
            return Regression(spread_of(train_files, NUMBER), chosen.loss)
        case SegmentationOptions():
            return Segmentation(classes, chosen, emphasis.pixels, emphasis.gamma)
        case DetectionOptions():
            return Detection(classes, chosen, image)
