"""Checkpoints from which a killed training goes on, and the weights of the best epoch."""

import json
from typing import Any

import keras
import tensorflow as tf

from trainer.progress import Progress


class Checkpoints:
    """The last state and the best weights of one training, in one folder.

    A state is one TensorFlow checkpoint: weights, optimizer slots and step, seeds of random layers,
    and the progress that remembers the best epoch. It becomes visible at once or not at all, and
    it names its best weights, which are written before it; so the two cannot fall apart.

    Args:
        model: compiled, its optimizer built.
        folder: local or remote; need not exist.
    """

    def __init__(self, model: keras.Model, folder: str) -> None:
        self._memory = _Memory()
        weights = [variable.value for variable in model.variables]
        slots = [variable.value for variable in model.optimizer.variables]
        self._state = tf.train.Checkpoint(weights=weights, slots=slots, memory=self._memory)
        self._weights = tf.train.Checkpoint(weights=weights)
        self._states = tf.train.CheckpointManager(self._state, f"{folder}/last", max_to_keep=2)
        # The best of the state before may still be needed while the next state is being written.
        self._bests = tf.train.CheckpointManager(self._weights, f"{folder}/best", max_to_keep=2)

    def save(self, progress: Progress) -> None:
        """Writes the state after an epoch; first its weights where they are the best so far."""
        epoch = len(progress.epochs)
        if progress.best is not None and progress.best.epoch == epoch:
            self._memory.best = self._bests.save(checkpoint_number=epoch)
        self._memory.progress = progress
        self._states.save(checkpoint_number=epoch)

    def restore(self) -> Progress | None:
        """Takes up the last state, if there is one, and tells how far it had come."""
        if self._states.latest_checkpoint is None:
            return None
        self._state.restore(self._states.latest_checkpoint).assert_existing_objects_matched()
        return self._memory.progress

    def restore_best(self) -> None:
        """Gives the model the weights of the best epoch."""
        self._weights.restore(self._memory.best).expect_partial()


class _Memory(tf.train.experimental.PythonState):
    """The part of a state that is no tensor."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.best: str = ""

    def serialize(self) -> str:
        return json.dumps({"progress": self.progress.to_json(), "best": self.best})

    def deserialize(self, string_value: Any) -> None:
        value = json.loads(string_value)
        self.progress, self.best = Progress.from_json(value["progress"]), value["best"]
