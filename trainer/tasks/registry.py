"""Registry of the tasks that can be learnt."""

from collections.abc import Sequence
from typing import Any

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from components.raster.task import Task, part_of_task
from trainer.imbalance.emphasis import Emphasis
from trainer.tasks.board import Board
from trainer.tasks.config import TaskOptions, default_options, tasks_with_trait
from trainer.tasks.objective import Objective, ObjectiveInputs


def objective_type(task: Task) -> type[Objective]:
    """Returns the class of a task's objective."""
    found: type[Objective] = part_of_task(__package__, task, "OBJECTIVE")
    return found


def board_of(task: Task) -> Board[Any]:
    """Returns the drawing of a task's predictions."""
    found: Board[Any] = part_of_task(__package__, task, "BOARD")
    return found


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
        classes: names, in the order of their indices; empty for a task without classes.
        image: spec of the model's input.
        train_files: files of the train split, for statistics of the targets.
        smoothing: share of the truth spread over all classes.
        emphasis: emphasis on rare and difficult classes; None: none.

    Raises:
        ConfigError: the options are those of another task, or do not suit it.
        DataError: the files cannot be read, or hold no target of the task.
    """
    chosen = options or default_options(task)
    if chosen.name != task:
        raise ConfigError(
            f"train.task.name is {chosen.name}, but the source gives {task} examples: leave "
            "train.task out, or change the source's target or columns."
        )
    if smoothing and task not in tasks_with_trait("smooths"):
        raise ConfigError(
            f"train.label_smoothing is {smoothing}, but it is for the classes of whole images, and "
            f"the source gives {task} examples; leave it out."
        )
    inputs = ObjectiveInputs(chosen, classes, image, train_files, smoothing, emphasis or Emphasis())
    return objective_type(task).build(inputs)
