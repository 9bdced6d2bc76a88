"""Training examples behind an answer: proponents and opponents by TracIn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.explanation.model import ExplainedModel
from components.explanation.tracin import LastLayer, influence, of_classes
from components.node.records import record_batches
from components.raster.errors import DataError
from components.raster.example import ENCODED, KEY, LABEL_TEXT

_FEATURES = {
    ENCODED: tf.io.FixedLenFeature([], tf.string),
    KEY: tf.io.FixedLenFeature([], tf.string, ""),
    LABEL_TEXT: tf.io.FixedLenFeature([], tf.string, ""),
}
_BATCH = 64


@dataclass(frozen=True)
class Influence:
    """A training example and its influence on an answer: above 0 for a proponent."""

    key: str
    label: str
    value: float
    image: bytes


@dataclass(frozen=True)
class AnswerInfluences:
    """Examples that moved the model most towards and away from one answer; possibly none."""

    answer: str
    proponents: tuple[Influence, ...]
    opponents: tuple[Influence, ...]


@dataclass(frozen=True, eq=False)
class LearntExamples:
    """The training examples of a model, as its last layer sees them."""

    files: tuple[str, ...]
    keys: tuple[str, ...]
    labels: tuple[str, ...]
    layer: LastLayer


def learnt_examples(model: ExplainedModel, pattern: str) -> LearntExamples:
    """Embeds the training examples of a model.

    Memory grows with their number times the length of the embedding.

    Args:
        model: with one class per image, exported with explanations.
        pattern: files of the training examples.

    Raises:
        DataError: there are no examples of one class each, the model cannot be run, or it is an
            ensemble.
    """
    if model.contract.ensemble is not None:
        raise DataError(
            f"{model.folder} is an ensemble. Each member has a last layer, while tracin follows "
            "one: choose another method, such as --method occlusion"
        )
    files = sorted(tf.io.gfile.glob(pattern))
    keys: list[str] = []
    labels: list[str] = []
    layers: list[LastLayer] = []
    for batch in _batches(files):
        names = [name.decode() for name in batch[LABEL_TEXT]]
        layers.append(_layer(model, batch[ENCODED], _indices(model, names, pattern)))
        keys += [key.decode() for key in batch[KEY]]
        labels += names
    if not layers:
        raise DataError(f"{pattern}: there are no examples")
    layer = LastLayer(
        np.concatenate([it.embedding for it in layers]), np.concatenate([it.error for it in layers])
    )
    return LearntExamples(tuple(files), tuple(keys), tuple(labels), layer)


def behind_answers(
    model: ExplainedModel, learnt: LearntExamples, images: Sequence[bytes], count: int
) -> list[AnswerInfluences]:
    """Returns the training examples that moved a model towards its answers, and away from them.

    Args:
        model: to explain.
        learnt: its training examples; only the images of the result are read.
        images: encoded; their answers are explained.
        count: largest number of proponents, and of opponents, for each answer.

    Raises:
        DataError: the model refuses an image.
    """
    answers, probabilities = _answers(model, images)
    answered = of_classes(answers, probabilities, probabilities.argmax(axis=1))
    values = influence(learnt.layer, answered)
    order = np.argsort(-values, axis=0, kind="stable")
    chosen = np.concatenate([order[:count], order[::-1][:count]])
    contents = _contents(learnt.files, {int(index) for index in chosen.ravel()})

    def examples(places: npt.NDArray[np.int64], column: int, sign: int) -> tuple[Influence, ...]:
        return tuple(
            Influence(learnt.keys[at], learnt.labels[at], float(values[at, column]), contents[at])
            for at in places.tolist()
            if sign * values[at, column] > 0
        )

    return [
        AnswerInfluences(
            model.contract.classes[int(probabilities[column].argmax())],
            examples(order[:count, column], column, 1),
            examples(order[::-1][:count, column], column, -1),
        )
        for column in range(len(images))
    ]


def _batches(files: Sequence[str]) -> Iterator[dict[str, list[bytes]]]:
    for batch in record_batches(*files, size=_BATCH):
        parsed = tf.io.parse_example(batch, _FEATURES)
        yield {name: values.numpy().tolist() for name, values in parsed.items()}


def _indices(model: ExplainedModel, names: Sequence[str], pattern: str) -> npt.NDArray[np.int64]:
    places = {name: index for index, name in enumerate(model.contract.classes)}
    unknown = sorted({name for name in names if name not in places})
    if unknown:
        raise DataError(
            f"{pattern}: examples have no class of the model (but {', '.join(unknown) or 'none'}). "
            "TracIn explains models of one class per image, by the examples that they learnt from."
        )
    return np.array([places[name] for name in names])


def _layer(
    model: ExplainedModel, images: Sequence[bytes], truth: npt.NDArray[np.int64]
) -> LastLayer:
    return of_classes(*_answers(model, images), truth)


def _answers(
    model: ExplainedModel, images: Sequence[bytes]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    embedding, logits = model.embed(images)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return embedding, exponents / exponents.sum(axis=1, keepdims=True)


def _contents(files: Sequence[str], wanted: set[int]) -> dict[int, bytes]:
    found, at = {}, 0
    for batch in _batches(files):
        for image in batch[ENCODED]:
            if at in wanted:
                found[at] = image
            at += 1
    return found
