"""Predictions of a model for the examples of a split."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.raster.example import ENCODED
from serving.contract.contract import Contract
from serving.graph.inputs import model_input
from serving.tasks.graph import served_outputs
from trainer.data.examples import records
from trainer.tasks.board import PredictedExample
from trainer.tasks.registry import board_of


def predict_examples(
    model: keras.Model, contract: Contract, files: Sequence[str], batch_size: int
) -> Iterator[PredictedExample[Any]]:
    """Yields every example of the files, in order, with the prediction a server would return.

    Args:
        model: pixels [N, H, W, C] to the outputs of the contract's task.
    """
    board = board_of(contract.task)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def served(serialized: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        spec = {ENCODED: tf.io.FixedLenFeature([], tf.string)}
        pixels = model_input(tf.io.parse_example(serialized, spec)[ENCODED], contract.image)
        return pixels, served_outputs(model(pixels, training=False), pixels, contract)

    for batch in records(tf.data.Dataset.from_tensor_slices(list(files))).batch(batch_size):
        pixels, outputs = served(batch)
        columns = {name: values.numpy() for name, values in outputs.items()}
        for row, serialized in enumerate(batch.numpy()):
            features = tf.train.Example.FromString(serialized).features.feature
            answer = {name: values[row] for name, values in columns.items()}
            truth = board.truth(features, contract)
            yield PredictedExample(np.asarray(pixels[row]), truth, answer)
