"""Registry of the served tasks: their outputs, and predictions from these."""

from dataclasses import replace
from typing import Any

from components.raster.errors import SkymillError
from components.raster.task import TASKS, Task, part_of_task
from serving.tasks.base import AnyPrediction, Outputs
from serving.tasks.reliability import read_reliability


class AnswerError(SkymillError):
    """Outputs that match no task of the served contract."""


def prediction_type(task: Task) -> type[AnyPrediction]:
    """Returns the type of a task's predictions."""
    found: type[AnyPrediction] = part_of_task(__package__, task, "answer.PREDICTION")
    return found


def outputs_of(task: Task) -> tuple[str, ...]:
    """Returns the outputs of every signature of a task's models."""
    return prediction_type(task).outputs


def read_predictions(
    outputs: Outputs, count: int, model_version: int | None
) -> list[AnyPrediction]:
    """Converts outputs to a prediction for each of `count` images; output names give the task.

    Args:
        outputs: arrays of N rows.

    Raises:
        AnswerError: the outputs match no task, or are not those of `count` images.
    """
    known = map(prediction_type, TASKS)
    found = next((kind for kind in known if set(kind.outputs) <= set(outputs)), None)
    if found is None:
        raise AnswerError(
            f"The model returns {', '.join(sorted(outputs))}: it does not follow the served "
            "contract. Use predict_raw for it."
        )
    sizes = {len(outputs[name]) for name in found.outputs}
    if sizes != {count}:
        raise AnswerError(f"The model returned {max(sizes)} answers for {count} images.")
    rows = ({name: outputs[name][index] for name in found.outputs} for index in range(count))
    predictions = [found.read(row, model_version) for row in rows]
    reliabilities = read_reliability(outputs, count)
    if reliabilities is None:
        return predictions
    made: list[Any] = predictions
    return [replace(it, reliability=of) for it, of in zip(made, reliabilities, strict=True)]
