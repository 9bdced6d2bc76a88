"""What a model answers in this process, and whether a server's answers agree with it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from components.raster.errors import DataError
from serving.names import INPUT_OF, OUTPUTS

_MOST_AT_ONCE = 8
_MOST_BYTES_AT_ONCE = 2 << 20  # gRPC's own limit is 4 MiB a message


@dataclass(frozen=True)
class Answer:
    """The answer to one image, as the served contract has it."""

    class_name: str
    probabilities: Mapping[str, float]


def answer_in_process(
    model_dir: Path, inputs: Mapping[str, Sequence[bytes]]
) -> dict[str, list[Answer]]:
    """The answers of a SavedModel, loaded here, to the inputs of each signature.

    Raises:
        DataError: it cannot be loaded, lacks a signature or an output, or fails on an input.
    """
    try:
        loaded = tf.saved_model.load(str(model_dir))
        return {name: _call(loaded, name, items) for name, items in inputs.items()}
    except Exception as error:  # a broken model raises anything, from IndexError to OpError
        raise DataError(f"{model_dir}: {type(error).__name__}: {error}") from error


def _call(loaded: tf.Module, signature: str, items: Sequence[bytes]) -> list[Answer]:
    answers: list[Answer] = []
    for chunk in chunks(items):
        outputs = loaded.signatures[signature](**{INPUT_OF[signature]: tf.constant(chunk)})
        chosen, probabilities, classes = (outputs[name].numpy().tolist() for name in OUTPUTS)
        answers += [
            Answer(name.decode(), dict(zip([c.decode() for c in names], row, strict=True)))
            for name, row, names in zip(chosen, probabilities, classes, strict=True)
        ]
    return answers


def chunks(items: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The items in order, in requests that no server refuses for their size."""
    chunk: list[bytes] = []
    for item in items:
        full = sum(map(len, chunk)) + len(item) > _MOST_BYTES_AT_ONCE
        if chunk and (full or len(chunk) == _MOST_AT_ONCE):
            yield chunk
            chunk = []
        chunk.append(item)
    if chunk:
        yield chunk


def disagreement(wanted: Sequence[Answer], given: Sequence[Answer], tolerance: float) -> str:
    """How a server's answers differ from the wanted ones; empty when they agree.

    Two classes whose probabilities are closer than the tolerance may change places.
    """
    if len(wanted) != len(given):
        return f"{len(given)} answers to {len(wanted)} images"
    for index, (want, got) in enumerate(zip(wanted, given, strict=True)):
        if list(want.probabilities) != list(got.probabilities):
            return (
                f"image {index}: classes {list(got.probabilities)}, not {list(want.probabilities)}"
            )
        difference = max(
            abs(got.probabilities[name] - value) for name, value in want.probabilities.items()
        )
        if not difference <= tolerance:  # NaN is no agreement
            return f"image {index}: a probability differs by {difference:.3g}"
        if got.probabilities.get(got.class_name, -math.inf) < (
            max(got.probabilities.values()) - tolerance
        ):
            return f"image {index}: class {got.class_name!r} is not the most probable one"
    return ""
