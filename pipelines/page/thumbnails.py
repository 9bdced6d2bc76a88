"""Small pictures of chosen examples, as a model of the run saw them."""

import base64
import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from components.evaluation.model import EvaluatedModel
from components.explanation.model import ExplainedModel
from components.node.records import record_batches
from components.raster.example import ENCODED, KEY
from components.raster.pictures.heat import blended
from components.raster.pictures.sheet import Card
from components.raster.pictures.stretch import Picture
from components.raster.task import Task
from components.raster.tiles.valid_mask import Pixels
from pipelines.page.evidence import Thumbnail
from serving.client.explanation import GRAD_CAM, GRADIENTS, Explanation
from serving.contract.contract import Contract
from serving.graph.inputs import model_input
from trainer.board.cards import drawing_of
from trainer.tasks.board import Board, PredictedExample
from trainer.tasks.registry import board_of

_BATCH = 16
#: Examples that are read at a time.
_READ = 64
_KEY_SPEC = {KEY: tf.io.FixedLenFeature([], tf.string)}
#: Quality and effort of WebP: more effort takes twice as long for pictures a few percent smaller.
_QUALITY, _EFFORT = 80, 2


Decode = Callable[[Sequence[bytes]], Pixels]


@dataclass(frozen=True)
class Limits:
    """Bounds of the pictures: their longer side, and the bytes of all of them together."""

    side_px: int = 144
    bytes: int = 2_400_000


def read_examples(files: Sequence[str], keys: Iterable[str]) -> dict[str, bytes]:
    """Returns the serialized examples with these keys, by key; reads until all are found."""
    wanted = set(keys)
    found: dict[str, bytes] = {}
    for batch in record_batches(*files, size=_READ):
        if len(found) == len(wanted):
            break
        # Only the keys leave the graph: decoding each example here would take most of the time.
        keys_of_batch = tf.io.parse_example(batch, _KEY_SPEC)[KEY].numpy()
        for encoded, serialized in zip(keys_of_batch, batch, strict=True):
            key = encoded.decode("utf-8", "backslashreplace")
            if key in wanted:
                found.setdefault(key, serialized)
    return found


def draw_examples(
    examples: Mapping[str, bytes],
    contract: Contract,
    model: str,
    explained: Collection[str] = (),
    served: EvaluatedModel | None = None,
    limits: Limits = Limits(),
) -> dict[str, tuple[Thumbnail, ...]]:
    """Draws each example; where truth and answer are pictures, also these and what differs.

    Args:
        examples: serialized, by key; the last ones have no pictures where the limit is reached.
        contract: of the model.
        model: folder of the SavedModel, which is loaded only for explanations.
        explained: keys of the examples whose answers are explained, if the model supports it.
        served: the model, for a task that answers in pictures.
        limits: of the pictures.
    """
    asked = {key: it for key, it in examples.items() if key in explained}
    if contract.explanations is None or not asked:
        return _drawn(examples, contract, served, limits, dict)
    # TensorFlow loads and optimizes the graph of the explanations while images are decoded.
    with ThreadPoolExecutor(1) as pool:
        explaining = pool.submit(_explanations, Path(model), asked)
        return _drawn(examples, contract, served, limits, explaining.result)


def _drawn(
    examples: Mapping[str, bytes],
    contract: Contract,
    served: EvaluatedModel | None,
    limits: Limits,
    explanations: Callable[[], Mapping[str, Explanation]],
) -> dict[str, tuple[Thumbnail, ...]]:
    board = board_of(contract.task)
    items = list(examples.items())
    decode = _decoder(contract)
    draw: Callable[[Pixels], Picture] | None = None
    drawn: dict[str, tuple[Thumbnail, ...]] = {}
    left = limits.bytes
    for start in range(0, len(items), _BATCH):
        batch = dict(items[start : start + _BATCH])
        predicted = _predicted(list(batch.values()), decode, contract, board, served)
        draw = draw or drawing_of(predicted, contract)
        pictures = {key: draw(it.pixels) for key, it in zip(batch, predicted, strict=True)}
        explained = explanations()
        for (key, picture), example in zip(pictures.items(), predicted, strict=True):
            cards = [Card(picture, "image")]
            if served:
                cards += board.cards(picture, example, contract)
                cards += filter(None, [board.difference(picture, example, contract)])
            if (why := explained.get(key)) is not None and why.is_finite:
                cards.append(_why(picture, why))
            made = tuple(thumbnail(card, limits.side_px) for card in cards)
            left -= sum(len(it.address) for it in made)
            if left < 0:
                return drawn
            drawn[key] = made
    return drawn


def _explanations(model: Path, examples: Mapping[str, bytes]) -> dict[str, Explanation]:
    """Explains the model's answers to examples."""
    images = [_encoded(_features(it)) for it in examples.values()]
    return dict(zip(examples, ExplainedModel(model).explain(images), strict=True))


def _why(picture: Picture, explanation: Explanation) -> Card:
    """Draws the pixels on which an answer depends."""
    heat = explanation.heats.get(GRAD_CAM, explanation.heats[GRADIENTS])
    return Card(blended(picture, heat), f"why {explanation.explained}")


def answers_in_pictures(task: Task) -> bool:
    """Checks whether truth and answer of a task are pictures."""
    return board_of(task).cards_per_example > 1


def _decoder(contract: Contract) -> Decode:
    """Returns a function, traced once, from encoded images [N] to the model's pixels.

    Without a trace, each operation on each image returns to Python, which takes twice as long.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return model_input(encoded, contract.image)

    return lambda encoded: np.asarray(decode(tf.constant(encoded)))


def _predicted(
    examples: Sequence[bytes],
    decode: Decode,
    contract: Contract,
    board: Board[Any],
    served: EvaluatedModel | None,
) -> list[PredictedExample[Any]]:
    """Decodes the examples; truth and answer are only of a task that answers in pictures."""
    features = [_features(serialized) for serialized in examples]
    pixels = decode([_encoded(of_example) for of_example in features])
    answers = served.answers(examples) if served else {}
    return [
        PredictedExample(
            pixels[row],
            board.truth(of_example, contract) if served else None,
            {name: values[row] for name, values in answers.items()},
        )
        for row, of_example in enumerate(features)
    ]


def thumbnail(card: Card, side_px: int) -> Thumbnail:
    """Encodes a card as a small WebP; pictures of few pixels are enlarged by whole pixels."""
    image = Image.fromarray(card.picture)
    factor = side_px / max(image.size)
    if factor < 1:
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size, Image.Resampling.BOX)
    elif factor >= 2:
        whole = int(factor)
        size = (image.width * whole, image.height * whole)
        image = image.resize(size, Image.Resampling.NEAREST)
    data = io.BytesIO()
    image.save(data, "WEBP", quality=_QUALITY, method=_EFFORT)
    encoded = base64.b64encode(data.getvalue()).decode("ascii")
    return Thumbnail(card.text, f"data:image/webp;base64,{encoded}")


def _features(serialized: bytes) -> Any:
    return tf.train.Example.FromString(serialized).features.feature


def _encoded(features: Any) -> bytes:
    return bytes(features[ENCODED].bytes_list.value[0])
