"""Registry of the tasks that can be evaluated."""

from typing import Any

from components.evaluation.tasks.base import EvaluatedTask
from components.raster.task import TASKS, Task, part_of_task


def evaluated_task(task: Task) -> EvaluatedTask[Any]:
    """Returns the evaluation of a task."""
    found: EvaluatedTask[Any] = part_of_task(__package__, task, "TASK")
    return found


def tasks_with(metric: str) -> tuple[Task, ...]:
    """Returns the tasks that have a metric, by its name in thresholds."""
    return tuple(task for task in TASKS if evaluated_task(task).measures(metric))
