"""The model of a run of predictions: its identity, and its answers to examples."""

import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from components.raster.errors import ConfigError, DataError, TransientDataError
from components.raster.location import is_remote, local_path
from serving.contract.contract import Contract, read_contract
from serving.contract.names import EXAMPLES_INPUT, EXAMPLES_SIGNATURE
from serving.store.digest import model_digest
from serving.store.version_store import version_store
from serving.store.versions import model_folder
from serving.tasks.base import Outputs
from serving.tasks.registry import prediction_type

if TYPE_CHECKING:
    from components.ingest.photographs.validate import Refused
    from serving.server.pushed import PushedModel


@dataclass(frozen=True)
class PinnedModel:
    """One version of a model, as any worker can find it.

    Attributes:
        base: a folder of versions, in a local folder or an object store, or a SavedModel.
        version: its number; None for a SavedModel.
        identity: digest of its files.
    """

    base: str
    version: int | None
    identity: str


def find_model(base: str, version: int | None) -> tuple[PinnedModel, Contract]:
    """Returns a version, by default the newest, and its contract; TensorFlow is not loaded.

    Raises:
        DataError: there is no such model.
    """
    number = _newest(base) if version is None and is_remote(base) else version
    with _local(base, number) as path:
        folder, found = model_folder(path, None if is_remote(base) else number)
        known = number if is_remote(base) else found
        return PinnedModel(base, known, model_digest(folder)), read_contract(folder)


def is_newest(ref: PinnedModel, version: int | None) -> bool:
    """Checks whether a store still has no newer version, without fetching one.

    False for a local folder, whose files may have changed: the caller must read it.

    Args:
        ref: the model that was found before.
        version: the wanted version; None for the newest.
    """
    if not is_remote(ref.base):
        return False
    return (_newest(ref.base) if version is None else version) == ref.version


def require_same(ref: PinnedModel, identity: str) -> None:
    """Raises TransientDataError where a model has other files than the run was planned with."""
    if identity != ref.identity:
        raise TransientDataError(
            f"{ref.base}: the model was replaced during the run, whose answers would be of two "
            "models. Start again; a version that is pushed never changes"
        )


class Answers(NamedTuple):
    """Answers to a batch.

    Attributes:
        outputs: outputs for the accepted examples, in their order.
        accepted: indices of the accepted examples in the batch.
        refused: refusals of the others, by index.
    """

    outputs: Outputs
    accepted: npt.NDArray[np.intp]
    refused: dict[int, "Refused"]


#: Batches that a model answers at once where it may use all cores. Parts of a graph use only one
#: core, such as the decoding of an image; meanwhile another batch uses the others.
_AT_ONCE = 2


class ExampleModel:
    """A loaded model that answers tf.Examples.

    Attributes:
        contract: the model's contract.
        task: the contract's task.
        at_once: number of threads that should call the model.
    """

    def __init__(self, pushed: "PushedModel", at_once: int = _AT_ONCE) -> None:
        if EXAMPLES_SIGNATURE not in pushed.model.signatures:
            raise DataError(f"{pushed.model.path} has no signature {EXAMPLES_SIGNATURE}")
        self.contract = pushed.contract
        self.at_once = at_once
        self._model = pushed.model
        # A process's last model would outlive the library that releases it.
        weakref.finalize(self, pushed.model.close)
        self.task = prediction_type(pushed.contract.task)

    @classmethod
    def load(cls, ref: PinnedModel, *, one_thread: bool = False) -> "ExampleModel":
        """Loads the model of a run.

        Args:
            ref: the model.
            one_thread: leave the other cores to other processes.

        Raises:
            DataError: it cannot be loaded, or was replaced.
        """
        from serving.server.model import Threads
        from serving.server.pushed import load_pushed

        threads = Threads(1, 1) if one_thread else Threads()
        with _local(ref.base, ref.version) as path:
            number = None if is_remote(ref.base) else ref.version
            pushed = load_pushed(path, number, threads)
        require_same(ref, pushed.identity)
        return cls(pushed, 1 if one_thread else _AT_ONCE)

    def answer(self, examples: Sequence[bytes]) -> Answers:
        """Returns the model's answers; an example that it refuses does not spoil the others.

        Raises:
            DataError: the model itself fails.
        """
        found: list[Outputs] = []
        accepted: list[int] = []
        refused: dict[int, Refused] = {}
        self._answer(examples, 0, found, accepted, refused)
        if not found:
            return Answers(self._empty(), np.array([], np.intp), refused)
        outputs = {
            name: np.concatenate([part[name] for part in found]) for name in self.task.outputs
        }
        return Answers(outputs, np.array(accepted, np.intp), refused)

    def _answer(
        self,
        examples: Sequence[bytes],
        first: int,
        found: list[Outputs],
        accepted: list[int],
        refused: dict[int, "Refused"],
    ) -> None:
        """Answers a part of the batch; one that is refused is halved down to the culprit."""
        from components.ingest.photographs.validate import refused_by
        from serving.server.errors import Code, ServingError

        if not examples:
            return
        try:
            rows = self._model.run(
                EXAMPLES_SIGNATURE, {EXAMPLES_INPUT: np.array(examples, dtype=object)}
            )
        except ServingError as error:
            if error.code != Code.INVALID_ARGUMENT:
                raise DataError(f"the model failed: {error}") from error
            if len(examples) == 1:
                refused[first] = refused_by(str(error))
                return
            half = len(examples) // 2
            self._answer(examples[:half], first, found, accepted, refused)
            self._answer(examples[half:], first + half, found, accepted, refused)
            return
        found.append(rows)
        accepted.extend(range(first, first + len(examples)))

    def _empty(self) -> Outputs:
        """Returns the outputs for an empty batch, from the signature's types and shapes."""
        import tensorflow as tf

        known = self._model.signatures[EXAMPLES_SIGNATURE].outputs
        classes = len(self.contract.classes)
        return {
            name: np.empty(
                (
                    0,
                    *(
                        classes if side is None else side
                        for side in (known[name].shape or (0,))[1:]
                    ),
                ),
                tf.as_dtype(known[name].dtype).as_numpy_dtype,
            )
            for name in self.task.outputs
        }


def _newest(base: str) -> int:
    numbers = version_store(base).numbers()
    if not numbers:
        raise DataError(f"{base} holds no version of a model: push one, or name another model_base")
    return numbers[-1]


@contextmanager
def _local(base: str, version: int | None) -> Iterator[Path]:
    """Yields a local folder of the model; of an object store, a copy that is removed afterwards."""
    if not is_remote(base):
        yield Path(local_path(base))
        return
    if version is None:
        raise ConfigError(f"{base}: name a version")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "model")
        version_store(base).fetch(version, target)
        yield target
