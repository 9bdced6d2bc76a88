"""The workers of one training, as TF_CONFIG names them to each process."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.raster.errors import ConfigError

#: Jobs whose processes train; the chief comes first and trains too.
_TRAINING_JOBS = ("chief", "master", "worker")
_SHAPE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)


class CannotJoin(ConfigError):
    """The other workers cannot be reached; they may be later."""

    lasting = False


@dataclass(frozen=True)
class Cluster:
    """All workers, and the index of this process.

    Attributes:
        workers: `host:port` of each, in an order common to all.
        index: this process; 0 is the chief, which writes logs, checkpoints and exports.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """True if this process writes the training's outputs."""
        return self.index == 0


@dataclass(frozen=True)
class ClusterEnvironment:
    """Environment of a training process: cluster and TPU.

    Attributes:
        cluster: parsed TF_CONFIG; None where it names fewer than two workers.
        tpu: value of TPU_NAME: `local`, `grpc://host:port`, or None.
    """

    cluster: Cluster | None = None
    tpu: str | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "ClusterEnvironment":
        """Reads the environment variables.

        Raises:
            ConfigError: TF_CONFIG does not have TensorFlow's format.
        """
        text = environment.get("TF_CONFIG")
        return cls(parse_tf_config(text) if text else None, environment.get("TPU_NAME") or None)


def parse_tf_config(text: str) -> Cluster | None:
    """Parses the cluster of a TF_CONFIG variable; None where there is only one worker.

    Raises:
        ConfigError: it does not have TensorFlow's format, or this process is not among the workers.
    """
    tree = _tree(text)
    jobs = tree.get("cluster") or {}
    if not isinstance(jobs, dict) or not all(_is_addresses(value) for value in jobs.values()):
        raise _wrong(f"its cluster is {jobs!r}, not lists of host:port by job")
    unknown = sorted(set(jobs) - {*_TRAINING_JOBS, "evaluator"})
    if unknown:
        raise _wrong(f"it has the job {unknown[0]}, which this training does not use")
    workers = tuple(address for job in _TRAINING_JOBS for address in jobs.get(job, ()))
    for address in workers:
        if workers.count(address) > 1:
            raise _wrong(f"it names {address} twice; each worker needs a port of its own")
    if len(workers) < 2:
        return None
    return Cluster(workers, _index(tree.get("task"), jobs))


def _tree(text: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise _wrong(f"it is not JSON ({error})") from error
    if not isinstance(tree, dict):
        raise _wrong(f"it is {tree!r}")
    return tree


def _index(task: Any, jobs: Mapping[str, list[str]]) -> int:
    """Returns the index of a task among the workers of all jobs."""
    if not isinstance(task, dict):
        raise _wrong("it does not name the task of this process")
    job, index = task.get("type"), task.get("index")
    if job not in _TRAINING_JOBS:
        raise _wrong(
            f"its task is of type {job!r}; those that train are {', '.join(_TRAINING_JOBS)}"
        )
    members = jobs.get(job, [])
    if not isinstance(index, int) or not 0 <= index < len(members):
        raise _wrong(f"its task is {job} {index!r}, but it names {len(members)} of them")
    before = _TRAINING_JOBS[: _TRAINING_JOBS.index(job)]
    return sum(len(jobs.get(other, ())) for other in before) + index


def _is_addresses(value: Any) -> bool:
    return isinstance(value, list) and all(_is_address(address) for address in value)


def _is_address(value: Any) -> bool:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def _wrong(what: str) -> ConfigError:
    return ConfigError(f"TF_CONFIG cannot be used: {what}. It should read like {_SHAPE}")
