"""Interface of a task in the search for wrong labels; one implementation for each task."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from components.label_audit.issues import LabelIssue
from components.raster.task import Task, part_of_task

#: Data kept of one example.
Item = TypeVar("Item")


class AuditedTask(ABC, Generic[Item]):
    """One task: the data that it keeps of each example, and the issues that it finds in all."""

    @abstractmethod
    def item(self, truth: Any, prediction: Any, classes: int) -> Item | None:
        """Returns the data kept of an example; None without a usable truth.

        Args:
            truth: a number, the index of a class, or the presence of each; None for masks and
                boxes, whose prediction holds it.
            prediction: a number, the probability of each class, or the columns that masks and
                boxes have in the table of predictions.
            classes: number of the model's classes; indexes from it on are unknown ones.
        """

    @abstractmethod
    def issues(
        self, keys: Sequence[str], items: Sequence[Item], classes: Sequence[str]
    ) -> list[LabelIssue]:
        """Returns the issues of all examples, in any order."""


def audited_task(task: Task) -> AuditedTask[Any]:
    """Returns a task's implementation."""
    found: AuditedTask[Any] = part_of_task(__package__, task, "TASK")
    return found
