"""Checkpoints for resuming a killed training: contents, timing, and the stop on SIGTERM."""

import json
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import keras
import tensorflow as tf

from trainer.training.config import CheckpointPolicy
from trainer.training.failures import TrainingError
from trainer.training.progress import TrainingProgress

#: Maximum share of the time spent saving, whatever interval is configured.
_MOST_OF_TIME = 0.05


@dataclass(frozen=True)
class Position:
    """Position of a training: whole epochs and steps.

    Attributes:
        progress: the completed epochs.
        step: completed steps of the current epoch.
        elapsed_s: seconds that these steps took.
        best: the checkpoint of the best epoch's weights.
    """

    progress: TrainingProgress = field(default_factory=TrainingProgress)
    step: int = 0
    elapsed_s: float = 0.0
    best: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns a plain value that `from_json` reads."""
        return {
            "progress": self.progress.to_json(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "best": self.best,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Position":
        """Returns the position that `to_json` wrote."""
        return cls(**{**value, "progress": TrainingProgress.from_json(value["progress"])})


class Checkpoints:
    """The last state and the best weights of one training, in one folder.

    A state is one TensorFlow checkpoint: weights, optimizer slots and step (with averages of
    weights and the scale of the loss, where there are), seeds of random layers, the metrics of the
    epoch under way, and the position. It is written atomically and names its best weights, which
    are written before it, so the two stay consistent.

    Args:
        weights: the variables of the whole model, including frozen ones.
        folder: local or remote; need not exist.
        writes: whether this process writes. Other processes must save at the same time,
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
        # The previous state's best weights may still be needed while the next state is written.
        self._bests = tf.train.CheckpointManager(self._best, f"{folder}/best", max_to_keep=2)

    def attend(self, optimizer: keras.optimizers.Optimizer, metrics: Sequence[Any]) -> None:
        """Adds a built optimizer and the variables of metrics to the states."""
        self._state = tf.train.Checkpoint(
            weights=self._weights,
            slots=[variable.value for variable in optimizer.variables],
            metrics=[variable.value for variable in metrics],
            memory=self._memory,
        )
        self._lasts = tf.train.CheckpointManager(self._state, f"{self._folder}/last", max_to_keep=2)

    def look(self) -> Position | None:
        """Returns the position of the last state, or None; restores nothing."""
        if self._lasts.latest_checkpoint is None:
            return None
        only = tf.train.Checkpoint(memory=self._memory)
        only.read(self._lasts.latest_checkpoint).expect_partial()
        return self._memory.position

    def restore(self) -> None:
        """Restores the last state, which must have the attended optimizer's variables."""
        self._state.restore(self._lasts.latest_checkpoint).assert_existing_objects_matched()

    def restore_best(self, position: Position) -> None:
        """Restores the weights of the best epoch."""
        self._best.read(position.best).expect_partial()

    def save_best(self, position: Position) -> Position:
        """Saves the weights as the best so far and returns the position that names them."""
        path = self._write(self._bests, self._best, len(position.progress.epochs))
        return replace(position, best=path)

    def save(self, position: Position) -> None:
        """Saves the state."""
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
    """The part of a state that is not a tensor."""

    def __init__(self) -> None:
        self.position = Position()

    def serialize(self) -> str:
        return json.dumps(self.position.to_json())

    def deserialize(self, string_value: Any) -> None:
        self.position = Position.from_json(json.loads(string_value))


class SavingPlan:
    """Decides when a state is due to be saved.

    Args:
        policy: by time, by steps, or both.
        clock: monotonic seconds.
    """

    def __init__(self, policy: CheckpointPolicy, clock: Callable[[], float] = time.monotonic):
        self._policy, self._clock = policy, clock
        self._steps = 0
        self._cost_s = 0.0
        self._saved_s = clock()

    def after(self, steps: int) -> bool:
        """Counts steps and returns whether a state is due."""
        self._steps += steps
        every_s, every_steps = self._policy.every_seconds, self._policy.every_steps
        if every_steps is not None and self._steps >= every_steps:
            return True
        if every_s is None:
            return False
        pause_s = max(every_s, self._cost_s / _MOST_OF_TIME)
        return self._clock() - self._saved_s >= pause_s

    def save(self, write: Callable[[], None]) -> None:
        """Saves and records the time it took."""
        began_s = self._clock()
        write()
        self._saved_s = self._clock()
        self._cost_s = self._saved_s - began_s
        self._steps = 0


class TrainingInterrupted(TrainingError):
    """Training was asked to stop and saved its state; another attempt resumes there."""


class StopRequest:
    """Request to stop the training."""

    def __init__(self) -> None:
        self.made = False


@contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """Turns a first SIGTERM within the context (sent to preempted machines) into a request.

    A second one has its previous effect. Only a process's main thread receives signals, so in
    another thread nothing changes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.getsignal(signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        request.made = True
        signal.signal(signal.SIGTERM, before)

    signal.signal(signal.SIGTERM, note)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
