"""Training failures and their messages with remedies."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from components.raster.errors import SkymillError
from components.raster.full_disk import DiskFull, is_full_disk
from components.raster.full_disk import message as full_disk
from components.raster.messages import first_line
from trainer.data.dataset import Batch, ExampleSource
from trainer.data.examples import keys_at

BAD_BATCH_FILE = "bad_batch.json"
_KEYS_SHOWN = 8
#: Out-of-memory messages of oneDNN, CUDA and XLA, in errors of other types.
_MEMORY = re.compile(
    "out of memory|OUT_OF_MEMORY|RESOURCE_EXHAUSTED|could not create a memory object"
    "|Dst tensor is not initialized"
)
_IMAGE_DIMENSIONS = 4
_CORRECT = "holds NaN or infinite numbers: correct or omit it."


class TrainingError(SkymillError):
    """Training stopped without a usable model."""


class BadNumbers(TrainingError):
    """Examples of a batch hold numbers that are not finite."""

    lasting = True


class OutOfMemory(TrainingError):
    """The memory cannot hold a training step; a smaller batch may fit."""


@contextmanager
def explained_failures(
    batch_size: int, replicas: int, accumulate: int, precision: str
) -> Iterator[None]:
    """Converts failures of memory, other workers or a full disk to errors that name a remedy."""
    try:
        yield
    except (
        MemoryError,
        tf.errors.ResourceExhaustedError,
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.InternalError,
    ) as error:
        if is_full_disk(error):  # TensorFlow has one class for disks and memory
            raise DiskFull(full_disk(error, {})) from error
        if _is_out_of_memory(error):
            message = out_of_memory(batch_size, replicas, accumulate, precision, first_line(error))
            raise OutOfMemory(message) from error
        if "ollective" not in str(error):
            raise
        raise TrainingError(
            f"Another worker is gone: {first_line(error)} Start all workers again; the training "
            "resumes from its last checkpoint."
        ) from error


def out_of_memory(
    batch_size: int, replicas: int, accumulate: int, precision: str, detail: str
) -> str:
    """Returns the message, with half the batch size, divisible by the replicas."""
    half = max(batch_size // 2 // replicas, 1) * replicas
    remedies = []
    if half < batch_size:
        remedies.append(
            f"batch_size: {half} with accumulate: {-(-batch_size * accumulate // half)}, which "
            "learns from as many images per update"
        )
    if precision == "float32":
        remedies.append("precision: auto, which halves the activations where that is fast")
    remedies.append("a smaller image or model")
    return (
        f"Out of memory with batch_size {batch_size} on {replicas} "
        f"{'replica' if replicas == 1 else 'replicas'}. Try {', or '.join(remedies)}. ({detail})"
    )


def not_finite_rows(batch: Batch) -> tuple[int, ...]:
    """Returns the rows of a batch with a non-finite number in inputs, targets or weights.

    NaN in an image marks a missing pixel, which the network accepts.
    """
    parts = [np.asarray(part) for part in tf.nest.flatten(batch)]
    images = len(tf.nest.flatten(batch[0]))
    bad = np.zeros(len(parts[0]), bool)
    for number, part in enumerate(parts):
        if np.issubdtype(part.dtype, np.floating):
            image = number < images and part.ndim == _IMAGE_DIMENSIONS
            wrong = np.isinf(part) if image else ~np.isfinite(part)
            bad |= wrong.reshape(len(part), -1).any(axis=1)
    return tuple(int(row) for row in np.flatnonzero(bad))


def not_finite_keys(source: ExampleSource, batch_size: int) -> tuple[str, ...]:
    """Reads a source once, in order; returns the keys of examples with non-finite numbers."""
    rows: list[int] = []
    for number, batch in enumerate(source.once(batch_size)):
        rows += [number * batch_size + row for row in not_finite_rows(batch)]
    return keys_at(source.files, rows)


def bad_loss(
    value: float, epoch: int, step: int, rate: float, keys: Sequence[str], culprits: Sequence[str]
) -> str:
    """Returns the message about a loss that is not a number.

    Args:
        step: step of the epoch, counted from 1.
        keys: keys of the examples of that step's batch.
        culprits: those of them with non-finite numbers.
    """
    what = "Weights became NaN or infinite" if math.isfinite(value) else f"The loss became {value}"
    where = f"{what} in epoch {epoch}, batch {step}"
    if culprits:
        return (
            f"{where}; {_listed(culprits)} of it {_CORRECT} All keys of the batch are in "
            f"{BAD_BATCH_FILE}."
        )
    return (
        f"{where}; {_slower(rate)} The batch that caused it "
        f"holds {_listed(keys)}; all its keys are in {BAD_BATCH_FILE}."
    )


def bad_val_loss(value: float, epoch: int, rate: float, culprits: Sequence[str]) -> str:
    """Returns the message about a loss on the eval split that is not a number.

    Args:
        culprits: keys of the examples with non-finite numbers.
    """
    remedy = f"{_listed(culprits)} {_CORRECT}" if culprits else _slower(rate)
    return f"The val_loss became {value} in epoch {epoch}, on the eval split; {remedy}"


def write_bad_batch(log_dir: str, epoch: int, step: int, keys: Sequence[str]) -> None:
    """Writes the keys of the batch beside the learning curve."""
    tf.io.gfile.makedirs(log_dir)
    with tf.io.gfile.GFile(f"{log_dir}/{BAD_BATCH_FILE}", "w") as file:
        json.dump({"epoch": epoch, "batch": step, "keys": list(keys)}, file, indent=2)


def _is_out_of_memory(error: Exception) -> bool:
    named = isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)
    return named or _MEMORY.search(str(error)) is not None


def _slower(rate: float) -> str:
    return f"lower learning_rate (now {rate:g}) and train again."


def _listed(keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:_KEYS_SHOWN]) or "examples without keys"
    more = len(keys) - _KEYS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
