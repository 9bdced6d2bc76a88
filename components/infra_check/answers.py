"""Predictions of a model in this process, and batching of inputs into requests."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from components.raster.errors import DataError
from serving.contract.names import INPUT_OF
from serving.tasks.base import AnyPrediction
from serving.tasks.registry import read_predictions

_MOST_AT_ONCE = 8
_MOST_BYTES_AT_ONCE = 2 << 20  # gRPC's own limit is 4 MiB per message


def answer_in_process(
    model_dir: Path, inputs: Mapping[str, Sequence[bytes]]
) -> dict[str, list[AnyPrediction]]:
    """Loads a SavedModel in this process and returns its predictions for each signature's inputs.

    Raises:
        DataError: it cannot be loaded, lacks a signature or an output, or fails on an input.
    """
    try:
        loaded = tf.saved_model.load(str(model_dir))
        return {name: _call(loaded, name, items) for name, items in inputs.items()}
    except Exception as error:  # a broken model raises anything, from IndexError to OpError
        raise DataError(f"{model_dir}: {type(error).__name__}: {error}") from error


def _call(loaded: tf.Module, signature: str, items: Sequence[bytes]) -> list[AnyPrediction]:
    answers: list[AnyPrediction] = []
    for chunk in chunks(items):
        outputs = loaded.signatures[signature](**{INPUT_OF[signature]: tf.constant(chunk)})
        arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
        answers += read_predictions(arrays, len(chunk), model_version=None)
    return answers


def chunks(items: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yields the items in order, in requests small enough for every server."""
    chunk: list[bytes] = []
    for item in items:
        full = sum(map(len, chunk)) + len(item) > _MOST_BYTES_AT_ONCE
        if chunk and (full or len(chunk) == _MOST_AT_ONCE):
            yield chunk
            chunk = []
        chunk.append(item)
    if chunk:
        yield chunk
