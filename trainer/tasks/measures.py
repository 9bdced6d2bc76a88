"""Loss and metrics of a training: those of the task, or of the user's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.extension import Built
from components.raster.labels.targets import ignore_value
from components.raster.messages import first_line
from components.raster.task import Task
from trainer.data.dataset import ExampleSource
from trainer.tasks.measures_config import CustomLoss, CustomTrainingMetric
from trainer.tasks.objective import Objective

_LOSS = "train.loss.build"
#: Examples with which loss and metrics are tried.
_FEW = 2


class Measures(Protocol):
    """Loss and metrics of outputs against targets; each task's `Objective` has its own.

    Attributes:
        task: name of the task.
        monitors: names of the metrics that early stopping may watch, besides `loss`.
    """

    @property
    def task(self) -> Task: ...

    @property
    def monitors(self) -> tuple[str, ...]: ...

    def loss(self) -> keras.losses.Loss:
        """Returns the loss of outputs against targets."""

    def metrics(self) -> list[keras.metrics.Metric]:
        """Returns fresh metrics; logs use their names, and each split is measured with them."""


@dataclass(frozen=True)
class OwnMeasures:
    """An objective's measures with a loss in place of its own, and further metrics.

    Attributes:
        classes: names of the classes; empty for a task without classes.
        own_loss: None: that of the objective.
    """

    objective: Objective
    classes: tuple[str, ...]
    own_loss: CustomLoss | None
    own_metrics: tuple[CustomTrainingMetric, ...]

    @property
    def task(self) -> Task:
        return self.objective.task

    @property
    def monitors(self) -> tuple[str, ...]:
        return (*self.objective.monitors, *(each.name for each in self.own_metrics))

    def loss(self) -> keras.losses.Loss:
        if self.own_loss is None:
            return self.objective.loss()
        return make_loss(self.own_loss, _LOSS, self.classes)

    def metrics(self) -> list[keras.metrics.Metric]:
        own = enumerate(self.own_metrics)
        made = (make_metric(each, _metric(number), self.classes) for number, each in own)
        return [*self.objective.metrics(), *made]


def measures_of(
    objective: Objective,
    classes: tuple[str, ...],
    own_loss: CustomLoss | None,
    own_metrics: tuple[CustomTrainingMetric, ...],
) -> Measures:
    """Returns the objective's own measures, or those with the user's own."""
    if own_loss is None and not own_metrics:
        return objective
    return OwnMeasures(objective, classes, own_loss, own_metrics)


def make_loss(own: Built, key: str, classes: Sequence[str]) -> keras.losses.Loss:
    """Makes a loss.

    Args:
        key: key of the configuration that names it, for errors.

    Raises:
        ConfigError: the code cannot be called, or makes no Keras loss.
    """
    return _made(own, key, classes, keras.losses.Loss, "keras.losses.Loss")


def make_metric(own: Built, key: str, classes: Sequence[str]) -> keras.metrics.Metric:
    """Makes a metric, with the configured name; as `make_loss`."""
    made = _made(own, key, classes, keras.metrics.Metric, "keras.metrics.Metric")
    made.name = getattr(own, "name", made.name)
    return made


def require_fitting(measures: Measures, model: keras.Model, source: ExampleSource) -> None:
    """Computes loss and metrics of the user's own, if there are any, for a few examples.

    Args:
        model: inputs to the objective's outputs.
        source: source of inputs and targets.

    Raises:
        ConfigError: one does not accept the task's targets and outputs, the loss is not a number
            for each example, or a metric has the name of another.
    """
    if not isinstance(measures, OwnMeasures):
        return
    for number, own in enumerate(measures.own_metrics):
        if own.name in ("loss", *measures.objective.monitors):
            raise ConfigError(
                f"{_metric(number)}: {measures.task} has a metric {own.name} already; "
                "use another name."
            )
    inputs, targets, *_ = next(iter(source.once(_FEW)))
    outputs = model(inputs, training=False)
    if measures.own_loss is not None:
        loss = measures.loss()
        wanted = tf.cast(targets, loss.dtype)  # as Keras does before it calls a loss
        forms = f"targets {_form(wanted)} and outputs {_form(outputs)}"
        losses = tf.convert_to_tensor(_tried(_LOSS, forms, loss.call, wanted, outputs))
        if losses.shape.rank == 0 or losses.shape[0] != len(outputs):
            raise ConfigError(
                f"{_LOSS}: {measures.own_loss.build} returns {_form(losses)} for {forms}; its "
                "`call` must return a loss for each example, or for each of its parts."
            )
    forms = f"targets {_form(targets)} and outputs {_form(outputs)}"
    for number, own in enumerate(measures.own_metrics):
        key = _metric(number)
        metric = make_metric(own, key, measures.classes)
        _tried(key, forms, metric.update_state, targets, outputs)
        result = _tried(key, forms, metric.result)
        if tf.convert_to_tensor(result).shape.rank != 0:
            raise ConfigError(f"{key}: the result of {own.build} is not one number.")


def _metric(number: int) -> str:
    return f"train.metrics.{number}.build"


def _made(own: Built, key: str, classes: Sequence[str], kind: Any, name: str) -> Any:
    known = {"classes": tuple(classes), "ignore_value": ignore_value(len(classes))}
    made = own.made(key, **known, name=getattr(own, "name", None))
    if isinstance(made, kind):
        return made
    raise ConfigError(
        f"{key}: {own.build} returns a {type(made).__name__}; it must be a {name} of Keras 3."
    )


def _tried(key: str, forms: str, call: Any, *values: Any) -> Any:
    try:
        return call(*values)
    except Exception as error:  # the user's code may raise anything
        raise ConfigError(
            f"{key}: fails for {forms}, with {type(error).__name__}: {first_line(error)}"
        ) from error


def _form(value: Any) -> str:
    return f"{value.dtype.name} {tuple(value.shape)}"
