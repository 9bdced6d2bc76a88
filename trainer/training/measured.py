"""Embeddings and errors of a trained model over a split, in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.example import ENCODED, LABEL, NUMBER
from serving.contract.contract import Contract
from serving.contract.reliability import Numbers
from serving.graph.inputs import model_input
from serving.tasks.graph import task_graph
from trainer.data.examples import records
from trainer.data.groups import GROUP_SPEC, groups_in

_EMBEDDING, _ERROR = "embedding", "error"
_FEATURES = {
    ENCODED: tf.io.FixedLenFeature([], tf.string),
    LABEL: tf.io.FixedLenFeature([], tf.int64, -1),
    NUMBER: tf.io.FixedLenFeature([], tf.float32, float("nan")),
    **GROUP_SPEC,
}


@dataclass(frozen=True, eq=False)
class MeasuredSplit:
    """A model over the N examples of a split.

    Attributes:
        embedding: [N, D].
        labels: [N]; None where an example has no single class.
        errors: [N]: 1 less the probability of the true class, or the absolute error of a number;
            None where an example has neither.
        groups: group of each example; None for one that was drawn alone.
    """

    embedding: Numbers
    labels: npt.NDArray[np.int64] | None
    errors: Numbers | None
    groups: tuple[str | None, ...]


def measure_split(
    model: keras.Model, contract: Contract, files: Sequence[str], batch_size: int
) -> MeasuredSplit:
    """Measures a model on a split.

    Args:
        model: pixels to the outputs of the contract's task and, by name, the embedding.
        contract: the model's contract.
        files: files of the split.
        batch_size: examples at a time.
    """

    task = task_graph(contract.task)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def measured(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, _FEATURES)
        pixels = model_input(parsed.pop(ENCODED), contract.image)
        outputs, traits = model(pixels, training=False)
        answer = task.answer(outputs, pixels, contract)
        error = task.conformal_error(answer, parsed[LABEL], parsed[NUMBER])
        errors = {} if error is None else {_ERROR: error}
        return {**parsed, **errors, _EMBEDDING: traits[_EMBEDDING]}

    batches = [
        {name: values.numpy() for name, values in measured(batch).items()}
        for batch in records(tf.data.Dataset.from_tensor_slices(list(files))).batch(batch_size)
    ]
    columns = {name: np.concatenate([it[name] for it in batches]) for name in batches[0]}
    labels = columns[LABEL] if (columns[LABEL] >= 0).all() else None
    errors = columns.get(_ERROR)
    return MeasuredSplit(columns[_EMBEDDING], labels, errors, groups_in(columns, files))
