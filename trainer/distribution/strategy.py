"""Distribution strategies: selection of the devices that run the replicas of a training step."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import glob

import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.messages import first_line
from trainer.distribution.cluster import CannotJoin, Cluster, ClusterEnvironment
from trainer.distribution.config import StrategyName

_TPU_DEVICE_FILES = ("/dev/accel[0-9]*", "/dev/vfio/[0-9]*")
_CONNECT_TIMEOUT_S = 5.0


def local_devices() -> tuple[str, ...]:
    """Returns the names of this machine's GPUs, or of its CPUs without a GPU."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tuple(device.name for device in found)


def make_strategy(
    name: StrategyName,
    devices: Sequence[str] | None = None,
    environment: ClusterEnvironment | None = None,
) -> tf.distribute.Strategy:
    """Builds the strategy of that name over the devices (default: `local_devices()`).

    `auto` takes the workers of a cluster, else a TPU, else mirrors over several GPUs, and
    otherwise takes the first device. `multi_worker` waits until all workers are connected, and must
    be the first use of TensorFlow's devices in the process.

    Raises:
        ConfigError: the strategy's devices or cluster are not available.
    """
    available = _Devices(environment or ClusterEnvironment(), devices)
    return _BUILDERS[name](available)


def check_batch(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Requires equal shares of a batch for all replicas; else some gradients would weigh more.

    Raises:
        ConfigError: the global batch is not divisible by the number of replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ConfigError(
            f"batch_size is {batch_size}, which {replicas} replicas cannot share evenly; "
            f"use a multiple of {replicas}, or strategy: one_device."
        )


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
    """Checks whether replicas are TPU cores, whose programs need static shapes."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


@dataclass(frozen=True)
class _Devices:
    """Devices that may run replicas, looked up on demand, because the look-up initialises them."""

    environment: ClusterEnvironment
    given: Sequence[str] | None

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(self.given) if self.given is not None else local_devices()


def _auto(available: _Devices) -> tf.distribute.Strategy:
    if available.environment.cluster is not None:
        return _multi_worker(available)
    if available.given is None and (available.environment.tpu or _tpus_here()):
        return _tpu(available)
    devices = available.devices
    several_gpus = len(devices) > 1 and all("GPU" in device.upper() for device in devices)
    return _mirrored(available) if several_gpus else _one_device(available)


def _one_device(available: _Devices) -> tf.distribute.Strategy:
    return tf.distribute.OneDeviceStrategy(available.devices[0])


def _mirrored(available: _Devices) -> tf.distribute.Strategy:
    devices = available.devices
    if len(devices) < 2:
        raise ConfigError(
            f"strategy is mirrored, but this machine has only {', '.join(devices)}; "
            "use strategy: auto, which takes the devices that exist."
        )
    return tf.distribute.MirroredStrategy(devices)


def _multi_worker(available: _Devices) -> tf.distribute.Strategy:
    cluster = available.environment.cluster
    if cluster is None:
        raise ConfigError(
            "strategy is multi_worker, but TF_CONFIG names no workers: start "
            "`python -m trainer.worker` once for each of them, with TF_CONFIG set "
            "(docs/training.md shows how), or use strategy: auto."
        )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.workers)}),
        task_type="worker",
        task_id=cluster.index,
        rpc_layer="grpc",
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (RuntimeError, tf.errors.OpError) as error:
        raise CannotJoin(
            f"Worker {cluster.index} of {', '.join(cluster.workers)} cannot join the others: "
            f"{first_line(error)} Is each of them started, reachable, and its port free? A worker "
            "needs a process that has not used TensorFlow yet: `python -m trainer.worker`."
        ) from error


def _tpu(available: _Devices) -> tf.distribute.Strategy:
    name = available.environment.tpu or "local"
    if name == "local":
        _require_local_tpu()
    else:
        _require_listening(name)
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(tpu=name)
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise ConfigError(f"The TPU {name} cannot be used: {first_line(error)}") from error
    return tf.distribute.TPUStrategy(resolver)


def _tpus_here() -> bool:
    return bool(tf.config.list_physical_devices("TPU"))


def _require_local_tpu() -> None:
    if not _tpus_here() and not any(glob(pattern) for pattern in _TPU_DEVICE_FILES):
        raise ConfigError(
            "strategy is tpu, but this machine has none: there is neither a TPU device "
            f"({', '.join(_TPU_DEVICE_FILES)}) nor a TPU_NAME. It needs a TPU VM with the package "
            "tensorflow-tpu in place of tensorflow, or TPU_NAME=grpc://host:8470 of a TPU "
            "elsewhere. Without a TPU use strategy: auto."
        )


def _require_listening(name: str) -> None:
    """Checks the TPU's port first, because TensorFlow itself would wait for minutes."""
    host, _, port = name.removeprefix("grpc://").rpartition(":")
    if not name.startswith("grpc://") or not host or not port.isdecimal():
        raise ConfigError(f"TPU_NAME is {name!r}; it should be local or grpc://host:8470.")
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise ConfigError(
            f"strategy is tpu, but nothing answers at {name} of TPU_NAME ({error}); start the TPU, "
            "or use strategy: auto."
        ) from error


_BUILDERS: dict[StrategyName, Callable[[_Devices], tf.distribute.Strategy]] = {
    StrategyName.AUTO: _auto,
    StrategyName.ONE_DEVICE: _one_device,
    StrategyName.MIRRORED: _mirrored,
    StrategyName.MULTI_WORKER: _multi_worker,
    StrategyName.TPU: _tpu,
}


def cluster_of(strategy: tf.distribute.Strategy) -> Cluster | None:
    """Returns the workers that a strategy spans, or None if it stays in this process."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return None
    resolver = strategy.cluster_resolver
    return Cluster(tuple(resolver.cluster_spec().as_dict()["worker"]), int(resolver.task_id))
