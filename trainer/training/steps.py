"""Training and evaluation steps of a compiled Keras model under its strategy.

Keras' own `fit` does not run under MultiWorkerMirroredStrategy, and cannot begin in the middle of
an epoch; this loop calls its `train_step` and `test_step`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

Step = Callable[[Any], dict[str, Any]]


class StepLoop:
    """Runs steps of a model, whose metrics accumulate the results.

    Args:
        model: compiled under its strategy, the optimizer built.
        steps: number of steps that run without returning to Python.
        xla: whether each step is compiled with XLA.
        parts: number of parts in which a step processes its batch, one after another.
    """

    def __init__(
        self, model: keras.Model, steps: int = 1, xla: bool = False, parts: int = 1
    ) -> None:
        self.steps = steps
        self._model = model
        self._strategy: tf.distribute.Strategy = model.distribute_strategy
        step = model.train_step if parts == 1 else accumulated_step(model, parts)
        self._step = tf.function(step, jit_compile=True) if xla else step
        # AutoGraph finds nothing to convert, and would look at every call of Keras.
        self._train = tf.function(self._train_steps, autograph=False)
        self._test = tf.function(self._test_step, autograph=False)

    def build_metrics(self, batch: Any) -> None:
        """Creates the variables of loss and metrics, which steps of several replicas cannot do."""
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(batch)
        with self._strategy.scope():
            outputs = self._model(inputs, training=False)
            self._model.compute_loss(inputs, targets, outputs, weights)
            self._model.compute_metrics(inputs, targets, outputs, weights)
        self._model.reset_metrics()

    def train(self, batches: Iterator[Any]) -> tf.Tensor:
        """Trains on `steps` batches.

        Returns: int32 []: the first of these steps after which the epoch's mean loss or a weight is
            not a number; -1 if there is none.
        """
        return self._train(batches)

    def evaluate(self, batches: tf.data.Dataset, count: int) -> dict[str, float]:
        """Computes loss and metrics over `count` batches."""
        self._model.reset_metrics()
        iterator = iter(batches)
        for _ in range(count):
            self._test(iterator)
        return self.metrics()

    def metrics(self) -> dict[str, float]:
        """Returns loss and metrics of the steps since they were last reset."""
        results = self._model.get_metrics_result()
        return {name: float(tf.convert_to_tensor(value)) for name, value in results.items()}

    def _train_steps(self, batches: Iterator[Any]) -> tf.Tensor:
        if self.steps == 1:  # tracing a loop would be wasted
            return tf.where(self._train_step(batches), -1, 0)

        def body(step: tf.Tensor, bad: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            finite = self._train_step(batches)
            return step + 1, tf.where((bad < 0) & ~finite, step, bad)

        start = tf.constant(0), tf.constant(-1)
        _, bad = tf.while_loop(lambda step, _: step < self.steps, body, start)
        return bad

    def _train_step(self, batches: Iterator[Any]) -> tf.Tensor:
        """Trains on one batch; returns bool []: whether loss and weights are numbers after it."""
        results = self._strategy.run(self._step, args=(next(batches),))
        # Each replica knows the loss of its own rows; the sum is not a number if any loss is not.
        loss = self._strategy.reduce(tf.distribute.ReduceOp.SUM, results["loss"], axis=None)
        # A finite loss may have a gradient that is not finite. Without checking the weights, the
        # next batch would be blamed, and the state might be saved first.
        return tf.math.is_finite(loss + self._sum())

    def _sum(self) -> tf.Tensor:
        """Returns a float32 [] that is not a number if a trainable weight is not."""
        learning = self._model.trainable_variables
        return tf.add_n([tf.reduce_sum(tf.cast(each.value, tf.float32)) for each in learning])

    def _test_step(self, batches: Iterator[Any]) -> None:
        self._strategy.run(self._model.test_step, args=(next(batches),))


def accumulated_step(model: keras.Model, parts: int) -> Step:
    """Returns the model's `train_step` for a batch that passes in `parts` consecutive parts.

    Their gradients are averaged for a single update. The schedule, weight averages and the
    optimizer's step count therefore count updates; batch normalisation sees each part.

    Args:
        model: compiled, with built metrics; a replica's rows must be divisible by `parts`.
    """
    [tracker] = [metric for metric in model.metrics if metric.name == "loss"]

    def step(batch: Any) -> dict[str, Any]:
        variables = model.trainable_variables
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        total: list[Any] = []
        results: dict[str, Any] = {}
        for part in _split(batch, parts):
            # Otherwise TensorFlow would run the parts in parallel, with the memory of all of them.
            with tf.control_dependencies([each for each in total if each is not None]):
                own = tf.nest.map_structure(tf.identity, part)
            inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(own)
            with tf.GradientTape() as tape:
                outputs = model(inputs, training=True)
                loss = model.compute_loss(inputs, targets, outputs, weights, training=True)
                scaled = model.optimizer.scale_loss(loss / parts)
            tracker.update_state(loss * replicas, sample_weight=tf.shape(outputs)[0])
            total = list(_sums(total, tape.gradient(scaled, variables)))
            results = model.compute_metrics(inputs, targets, outputs, weights)
        model.optimizer.apply_gradients(zip(total, variables, strict=True))
        return results

    return step


def _split(batch: Any, parts: int) -> list[Any]:
    """Splits a batch into parts of consecutive rows."""
    columns = [tf.split(rows, parts) for rows in tf.nest.flatten(batch)]
    return [tf.nest.pack_sequence_as(batch, part) for part in zip(*columns, strict=True)]


def _sums(before: list[Any], gradients: list[Any]) -> Iterator[Any]:
    """Adds gradients; those of variables that the loss does not depend on are None in all parts."""
    for index, gradient in enumerate(gradients):
        yield gradient if gradient is None or not before else before[index] + gradient
