"""Served model of the evaluation: serialized examples in, arrays by output name out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.evaluation.tasks.registry import evaluated_task
from components.raster.errors import DataError
from components.raster.example import ENCODED
from components.raster.image import ImageSpec
from components.raster.task import SINGLE_LABEL, WITHOUT_CLASSES
from serving.contract.contract import CONTRACT_PATH, read_contract
from serving.contract.names import BYTES_INPUT, EXAMPLES_SIGNATURE, PLANES_SIGNATURE
from serving.tasks.base import CLASSES_OUTPUT
from serving.tasks.graph import task_graph
from serving.tasks.segmentation.planes import PLANES_OUTPUT


class EvaluatedModel:
    """SavedModel called through its `serving_examples` signature.

    It reads only the outputs by which its task is measured, and `classes` [N, K], whose rows all
    name the same K classes. A model without a contract counts as a single-label model.
    """

    def __init__(self, path: str) -> None:
        """Loads the SavedModel in the folder `path`; raises DataError if it lacks the signature."""
        contract = read_contract(Path(path)) if (Path(path) / CONTRACT_PATH).is_file() else None
        self.task = contract.task if contract else SINGLE_LABEL
        self.image = contract.image if contract else ImageSpec()
        self.path = path
        self._loaded = tf.saved_model.load(path)  # the signature lives only as long as this object
        if EXAMPLES_SIGNATURE not in self._loaded.signatures:
            raise DataError(
                f"{path} has no signature {EXAMPLES_SIGNATURE!r} (it has "
                f"{sorted(self._loaded.signatures)}): export it with the trainer's export"
            )
        self._call = self._loaded.signatures[EXAMPLES_SIGNATURE]
        named = () if self.task in WITHOUT_CLASSES else (CLASSES_OUTPUT,)
        self._outputs = (*evaluated_task(self.task).outputs, *named)

    def classes(self, serialized: bytes) -> tuple[str, ...]:
        """Returns the names of the K classes, from one example; empty for regression."""
        names = self.answers([serialized]).get(CLASSES_OUTPUT, np.zeros((1, 0)))[0]
        return tuple(name.decode("utf-8") for name in names)

    def answers(
        self, serialized: Sequence[bytes], planes: bool = False
    ) -> dict[str, npt.NDArray[Any]]:
        """Returns the outputs for N serialized tf.Examples, each with N rows.

        Args:
            planes: for masks, also return the probability of every class, by a second prediction.
        """
        outputs: dict[str, tf.Tensor] = self._call(examples=tf.constant(list(serialized)))
        missing = set(self._outputs) - set(outputs)
        if missing:
            raise DataError(
                f"{self.path}: {EXAMPLES_SIGNATURE} answers {sorted(outputs)}, "
                f"without {sorted(missing)}: export it with the trainer's export"
            )
        found = {name: outputs[name].numpy() for name in self._outputs}
        return found | self._planes(serialized) if planes else found

    def _planes(self, serialized: Sequence[bytes]) -> dict[str, npt.NDArray[Any]]:
        if not task_graph(self.task).has_planes:
            return {}
        if PLANES_SIGNATURE not in self._loaded.signatures:
            raise DataError(
                f"{self.path} has no signature {PLANES_SIGNATURE!r}, which evaluation.decisions "
                "needs: export it with the trainer's export"
            )
        parsed = tf.io.parse_example(serialized, {ENCODED: tf.io.FixedLenFeature([], tf.string)})
        found = self._loaded.signatures[PLANES_SIGNATURE](**{BYTES_INPUT: parsed[ENCODED]})
        return {PLANES_OUTPUT: found[PLANES_OUTPUT].numpy()}
