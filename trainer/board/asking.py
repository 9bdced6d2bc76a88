"""Predictions of a model for the examples of a split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.example import ENCODED
from serving.contract.contract import Contract
from serving.graph.inputs import model_input
from serving.tasks.graph import served_outputs
from trainer.board.truth import Truth, read_truths
from trainer.data.examples import records


@dataclass(frozen=True, eq=False)
class Asked:
    """One example: the model's input (H, W, C), the truth, and the prediction."""

    pixels: npt.NDArray[Any]
    truth: Truth
    answer: dict[str, npt.NDArray[Any]]


def ask(
    model: keras.Model, contract: Contract, files: Sequence[str], batch_size: int
) -> Iterator[Asked]:
    """Yields every example of the files, in order, with the prediction a server would return.

    Args:
        model: pixels [N, H, W, C] to the outputs of the contract's task.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def seen(serialized: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        spec = {ENCODED: tf.io.FixedLenFeature([], tf.string)}
        pixels = model_input(tf.io.parse_example(serialized, spec)[ENCODED], contract.image)
        return pixels, served_outputs(model(pixels, training=False), pixels, contract)

    for batch in records(tf.data.Dataset.from_tensor_slices(list(files))).batch(batch_size):
        pixels, answers = seen(batch)
        columns = {name: values.numpy() for name, values in answers.items()}
        for row, truth in enumerate(read_truths(batch.numpy(), contract)):
            found = {name: values[row] for name, values in columns.items()}
            yield Asked(np.asarray(pixels[row]), truth, found)
