"""Registry of the tasks that can be evaluated."""

from typing import Any

from components.evaluation.tasks.base import Family
from components.evaluation.tasks.detection import Detection
from components.evaluation.tasks.multi_label import MultiLabel
from components.evaluation.tasks.regression import Regression
from components.evaluation.tasks.segmentation import Segmentation
from components.evaluation.tasks.single_label import SingleLabel
from components.raster.task import Task

FAMILIES: dict[Task, Family[Any]] = {
    family.task: family
    for family in (SingleLabel(), MultiLabel(), Regression(), Segmentation(), Detection())
}


def family_of(task: Task) -> Family[Any]:
    """Returns the task's family."""
    return FAMILIES[task]


def tasks_with(metric: str) -> tuple[Task, ...]:
    """Returns the tasks that have a metric, by the name that thresholds use."""
    return tuple(task for task, family in FAMILIES.items() if family.measures(metric))
