"""Failures of a model in the middle of a split: recorded as findings instead of errors.

Workers write the failure to a file, because an exception loses its type and message on its way
through a Beam runner, which would also retry the step.
"""

import json
from collections.abc import Mapping, Sequence

import tensorflow as tf

from components.evaluation.model import EvaluatedModel
from components.raster.example import KEY
from components.raster.graph_errors import plain_message

_PREFIX = "failed-"


def reason(error: Exception) -> str:
    """Formats an error in one line, without its location in the graph."""
    lines = plain_message(str(error)).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".removesuffix(": ")


def describe(model: EvaluatedModel, batch: Sequence[bytes], path: str, error: Exception) -> str:
    """Names the example that a model fails on, found one by one; else that only batches fail."""
    for serialized in batch:
        try:
            model.answers([serialized])
        except Exception as own:  # a graph may raise anything
            return f"it fails at the example {_key(serialized)} of {path}: {reason(own)}"
    return (
        f"it fails at {len(batch)} examples of {path} together, but at none of them alone: "
        f"{reason(error)} (evaluation.batch_size sets how many)"
    )


def record_failure(folder: str, model: str, failure: str) -> None:
    """Writes a model's failure to a folder that all workers share."""
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(f"{folder}/{_PREFIX}{model}.json", "w") as file:
        json.dump({"model": model, "failure": failure}, file)


def take_failures(folder: str) -> Mapping[str, str]:
    """Returns the recorded failures, by model, and deletes the notes."""
    found = {}
    for path in sorted(tf.io.gfile.glob(f"{folder}/{_PREFIX}*.json")):
        with tf.io.gfile.GFile(path) as file:
            each = json.load(file)
        found[each["model"]] = each["failure"]
        tf.io.gfile.remove(path)
    return found


def _key(serialized: bytes) -> str:
    values = tf.train.Example.FromString(serialized).features.feature[KEY].bytes_list.value
    return values[0].decode("utf-8", "replace") if values else "without a key"
