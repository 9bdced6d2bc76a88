"""A served model as the evaluation sees it: serialized examples in, named probabilities out."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.errors import DataError
from serving.names import CLASSES_OUTPUT, EXAMPLES_SIGNATURE, PROBABILITIES_OUTPUT


class ServedModel:
    """A SavedModel called through its `serving_examples` signature.

    Of its outputs only `probabilities` [N, K] and `classes` [N, K] are read; every row of
    `classes` names the same K classes.
    """

    def __init__(self, path: str) -> None:
        """Load the SavedModel in the folder `path`; raises DataError without the signature."""
        self._path = path
        self._loaded = tf.saved_model.load(path)  # the signature lives only as long as this
        if EXAMPLES_SIGNATURE not in self._loaded.signatures:
            raise DataError(
                f"{path} has no signature {EXAMPLES_SIGNATURE!r} (it has "
                f"{sorted(self._loaded.signatures)}): export it with the trainer's export"
            )
        self._call = self._loaded.signatures[EXAMPLES_SIGNATURE]

    def classes(self, serialized: bytes) -> tuple[str, ...]:
        """The names of the K classes, asked with one example."""
        names = self._outputs([serialized])[CLASSES_OUTPUT].numpy()[0]
        return tuple(name.decode("utf-8") for name in names)

    def probabilities(self, serialized: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Probabilities [N, K] of N serialized tf.Examples."""
        result: npt.NDArray[np.float32] = self._outputs(serialized)[PROBABILITIES_OUTPUT].numpy()
        return result

    def _outputs(self, serialized: Sequence[bytes]) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = self._call(examples=tf.constant(list(serialized)))
        missing = {PROBABILITIES_OUTPUT, CLASSES_OUTPUT} - set(outputs)
        if missing:
            raise DataError(
                f"{self._path}: {EXAMPLES_SIGNATURE} answers {sorted(outputs)}, "
                f"without {sorted(missing)}: export it with the trainer's export"
            )
        return outputs


def align(
    probabilities: npt.NDArray[np.float32], classes: Sequence[str], space: Sequence[str]
) -> npt.NDArray[np.float32]:
    """Probabilities [N, K] over `classes` as [N, S] over `space`, which contains them all.

    A class that the model does not know gets probability 0.
    """
    aligned = np.zeros((len(probabilities), len(space)), np.float32)
    aligned[:, [space.index(name) for name in classes]] = probabilities
    return aligned
