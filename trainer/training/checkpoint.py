"""Checkpoints from which a killed training goes on, and the weights of the best epoch."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import tensorflow as tf

from trainer.training.progress import Progress


@dataclass(frozen=True)
class Position:
    """How far a training has come.

    Attributes:
        progress: the whole epochs.
        step: steps of the epoch that is under way.
        elapsed_s: what these steps took.
        best: the checkpoint of the best epoch's weights.
    """

    progress: Progress = field(default_factory=Progress)
    step: int = 0
    elapsed_s: float = 0.0
    best: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain value that `from_json` takes back."""
        return {
            "progress": self.progress.to_json(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "best": self.best,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Position":
        """The position that `to_json` wrote."""
        return cls(**{**value, "progress": Progress.from_json(value["progress"])})


class Checkpoints:
    """The last state and the best weights of one training, in one folder.

    A state is one TensorFlow checkpoint: weights, optimizer slots and step (with averages of
    weights and the scale of the loss, where there are), seeds of random layers, the metrics of the
    epoch under way, and the position. It becomes visible at once or not at all, and it names its
    best weights, which are written before it; so the two cannot fall apart.

    Args:
        weights: the variables of the whole model, also of what does not learn.
        folder: local or remote; need not exist.
        writes: whether this process is the one that writes. Others must save whenever it does,
            because values of replicated variables are gathered from all of them.
    """

    def __init__(self, weights: Sequence[keras.Variable], folder: str, writes: bool = True) -> None:
        self._writes = writes
        self._memory = _Memory()
        self._weights = [variable.value for variable in weights]
        self._best = tf.train.Checkpoint(weights=self._weights)
        self._state = tf.train.Checkpoint(memory=self._memory)
        self._folder = folder
        self._lasts = tf.train.CheckpointManager(self._state, f"{folder}/last", max_to_keep=2)
        # The best of the state before may still be needed while the next state is being written.
        self._bests = tf.train.CheckpointManager(self._best, f"{folder}/best", max_to_keep=2)

    def attend(self, optimizer: keras.optimizers.Optimizer, metrics: Sequence[Any]) -> None:
        """States hold this optimizer, which is built, and these metrics' variables from now on."""
        self._state = tf.train.Checkpoint(
            weights=self._weights,
            slots=[variable.value for variable in optimizer.variables],
            metrics=[variable.value for variable in metrics],
            memory=self._memory,
        )
        self._lasts = tf.train.CheckpointManager(self._state, f"{self._folder}/last", max_to_keep=2)

    def look(self) -> Position | None:
        """How far the last state had come, if there is one; nothing is restored."""
        if self._lasts.latest_checkpoint is None:
            return None
        only = tf.train.Checkpoint(memory=self._memory)
        only.read(self._lasts.latest_checkpoint).expect_partial()
        return self._memory.position

    def restore(self) -> None:
        """Takes up the last state, which must be of the optimizer that is attended."""
        self._state.restore(self._lasts.latest_checkpoint).assert_existing_objects_matched()

    def restore_best(self, position: Position) -> None:
        """Gives the model the weights of the best epoch."""
        self._best.read(position.best).expect_partial()

    def save_best(self, position: Position) -> Position:
        """Writes the weights as the best so far."""
        path = self._write(self._bests, self._best, len(position.progress.epochs))
        return replace(position, best=path)

    def save(self, position: Position) -> None:
        """Writes the state."""
        self._memory.position = position
        latest = self._lasts.latest_checkpoint
        number = int(latest.rpartition("-")[2]) + 1 if latest else 1
        self._write(self._lasts, self._state, number)

    def _write(
        self, manager: tf.train.CheckpointManager, checkpoint: tf.train.Checkpoint, number: int
    ) -> str:
        if self._writes:
            return str(manager.save(checkpoint_number=number))
        with tempfile.TemporaryDirectory() as folder:
            checkpoint.write(f"{folder}/unused")
        return f"{manager.directory}/ckpt-{number}"


class _Memory(tf.train.experimental.PythonState):
    """The part of a state that is no tensor."""

    def __init__(self) -> None:
        self.position = Position()

    def serialize(self) -> str:
        return json.dumps(self.position.to_json())

    def deserialize(self, string_value: Any) -> None:
        self.position = Position.from_json(json.loads(string_value))
