"""A model in this process whose answers are explained."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.explanation.question import Pixels, Question
from components.raster.errors import DataError
from components.raster.graph_errors import refusal_message
from serving.client.explanation import Explanation, explain_inputs, read_explanations
from serving.client.wire_tensors import Array, string_array
from serving.contract.names import (
    BYTES_INPUT,
    EMBEDDING_OUTPUT,
    EMBEDDING_SIGNATURE,
    EXPLAIN_SIGNATURE,
    OUTPUTS_OUTPUT,
    PIXELS_INPUT,
    PIXELS_SIGNATURE,
)
from serving.graph.inputs import model_input
from serving.server.errors import ServingError
from serving.server.pushed import load_pushed
from serving.tasks.registry import prediction_type

#: Images in one call.
_ROWS = 16


class ExplainedModel:
    """A model that TensorFlow runs in this process."""

    def __init__(self, path: Path, version: int | None = None) -> None:
        """Loads the model.

        Args:
            path: a folder of versions, or a SavedModel.
            version: within a folder of versions; None: the newest.

        Raises:
            DataError: there is no model, or it cannot be loaded.
        """
        pushed = load_pushed(path, version, few_calls=True)
        self.contract, self.version = pushed.contract, pushed.version
        self._model = pushed.model
        self.folder = pushed.model.path

    def explain(self, images: Sequence[bytes], target: str = "") -> list[Explanation]:
        """Explains answers by integrated gradients and Grad-CAM, as `PredictClient.explain` does.

        Raises:
            DataError: the model was exported without explanations, or refuses an image or target.
        """
        found: list[Explanation] = []
        for start in range(0, len(images), _ROWS):
            some = images[start : start + _ROWS]
            outputs = self._run(EXPLAIN_SIGNATURE, explain_inputs(some, target))
            found += read_explanations(outputs, len(some), self.version)
        return found

    def question(self, image: bytes, target: str = "") -> Question:
        """Returns the image and score that methods without gradients query.

        Raises:
            DataError: the model refuses the image.
            UnknownTarget: the answer has no such class or object.
        """
        contract = self.contract
        try:
            decoded = model_input(tf.constant([image]), contract.image, contract.band_scalings)
        except tf.errors.InvalidArgumentError as error:
            raise DataError(refusal_message(error.message)) from error
        pixels = decoded.numpy()
        kind = prediction_type(contract.task)
        explained, read = kind.follow(self._answer(pixels), target, contract.classes)

        def score(copies: Pixels) -> npt.NDArray[np.floating]:
            batches = [copies[at : at + _ROWS] for at in range(0, len(copies), _ROWS)]
            return np.concatenate([read(self._answer(batch)) for batch in batches])

        return Question(pixels[0], explained, score)

    def embed(self, images: Sequence[bytes]) -> tuple[Array, Array]:
        """Returns the embeddings [N, D] of images and their probabilities or numbers [N, K]."""
        parts = [
            self._run(EMBEDDING_SIGNATURE, {BYTES_INPUT: string_array(images[at : at + _ROWS])})
            for at in range(0, len(images), _ROWS)
        ]
        names = EMBEDDING_OUTPUT, OUTPUTS_OUTPUT
        embedding, outputs = (np.concatenate([it[name] for it in parts]) for name in names)
        return embedding, outputs

    def _answer(self, pixels: Pixels) -> dict[str, Array]:
        return self._run(PIXELS_SIGNATURE, {PIXELS_INPUT: pixels})

    def _run(self, signature: str, inputs: dict[str, Array]) -> dict[str, Array]:
        if signature not in self._model.signatures:
            raise DataError(
                f"{self.folder} has no signature {signature}. Set train.explain and train again, "
                "or choose a method that needs only answers: --method occlusion"
            )
        try:
            return self._model.run(signature, inputs)
        except ServingError as error:
            raise DataError(str(error)) from error
