"""Marker of a failure that a retry of the same task would repeat.

Kubeflow's launcher ends with 1 whatever the code of the step, so Argo repeats bad data as it does
a lost connection. A step that fails for a lasting reason leaves a marker, and its retries end at
once.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from components.raster.errors import SkymillError, is_lasting
from components.raster.full_disk import full_disk_as_error
from components.raster.stores.object_store import ObjectMissing, RequestRetries
from components.raster.stores.opening import is_object_store, open_object

_FILE = "lasting_failure.json"
_MOST_BYTES = 1 << 16
#: Characters of a failure, each of at most twelve bytes in JSON.
_LONGEST = 5000
#: A marker saves time; it must not cost much where the pod has no access to the store.
_RETRIES = RequestRetries(count=1, total_s=5)
#: Number of the attempt from 0, by Kubeflow Pipelines 2.17 and newer.
_INDEX = "KFP_RETRY_INDEX"
#: Argo's end of a retry; the first attempt has a time of year 1.
_DEADLINE, _NEVER = "ARGO_DEADLINE", "0001-01-01T"


class RepeatedFailure(SkymillError):
    """An earlier attempt of the same task has failed for a lasting reason."""

    lasting = True


@dataclass(frozen=True)
class FailureMarker:
    """A small file that outlives the pods of a task.

    Attributes:
        task: the URI below which the task writes its outputs. It contains the run and the task,
            and is the same for all attempts.
        location: the file's path or URI.
    """

    task: str
    location: str

    @classmethod
    def of(cls, outputs: Iterable[str], folder: str | None) -> "FailureMarker | None":
        """Returns the marker of a task; None if there is no lasting place for it.

        Args:
            outputs: URIs of the task's outputs.
            folder: a folder on a volume; None for a place beside the outputs, which the pod itself
                must be able to write: s3:// or gs://.
        """
        tasks = {uri.rstrip("/").rpartition("/")[0] for uri in outputs}
        if len(tasks) != 1 or not (task := tasks.pop()):
            return None
        if folder is not None:
            name = f"{hashlib.sha256(task.encode()).hexdigest()[:32]}.json"
            return cls(task, os.path.join(folder, name))
        return cls(task, f"{task}/{_FILE}") if is_object_store(task) else None

    def leave(self, failure: str) -> None:
        """Writes the marker; an error is printed and costs no more than retries."""
        content = json.dumps({"task": self.task, "failure": failure[:_LONGEST]})
        store, name = open_object(self.location, _RETRIES)
        try:
            store.write(name, content.encode())
        except SkymillError as error:
            print(f"No marker is left, so retries repeat this failure: {error}", file=sys.stderr)

    def read(self) -> str | None:
        """Returns the failure that an earlier attempt left; None if there is none of this task."""
        store, name = open_object(self.location, _RETRIES)
        try:
            found = json.loads(store.read(name, _MOST_BYTES))
            if found["task"] == self.task and isinstance(found["failure"], str):
                return found["failure"]
        except ObjectMissing:
            return None
        except SkymillError as error:
            print(f"{self.location} is not read: {error}", file=sys.stderr)
            return None
        except (ValueError, KeyError, TypeError):
            pass
        print(f"{self.location} is not a marker of this task and is ignored", file=sys.stderr)
        return None

    def remove(self) -> None:
        """Removes a marker of a run that a person has retried; without access there is none."""
        store, name = open_object(self.location, _RETRIES)
        with suppress(SkymillError):
            store.delete(name)


def is_first_attempt(environment: Mapping[str, str]) -> bool:
    """Checks by the variables of Kubeflow or Argo that no other attempt came before.

    >>> is_first_attempt({"KFP_RETRY_INDEX": "0"}), is_first_attempt({"KFP_RETRY_INDEX": "2"})
    (True, False)
    """
    index = environment.get(_INDEX, "")
    if index.isdecimal():
        return int(index) == 0
    return environment.get(_DEADLINE, "").startswith(_NEVER)


@contextmanager
def marked_failures(marker: FailureMarker | None, first: bool) -> Iterator[None]:
    """Leaves a marker if the code within fails for a lasting reason.

    Args:
        marker: the task's.
        first: no attempt came before. A marker is then of an earlier execution of the task, before
            a person retried the run, and is removed.

    Raises:
        RepeatedFailure: an earlier attempt has left a marker; the code within does not run.
    """
    if marker is None:
        yield
        return
    if first:
        marker.remove()
    elif failure := marker.read():
        raise RepeatedFailure(
            f"an earlier attempt has failed for a reason that lasts, so this one does not begin "
            f"({marker.location}):\n{failure}"
        )
    try:
        with full_disk_as_error():
            yield
    except SkymillError as error:
        if is_lasting(error):
            marker.leave(f"{type(error).__name__}: {error}")
        raise
