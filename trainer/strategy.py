"""Where the replicas of a training step run."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from components.raster.errors import ConfigError
from trainer.config import StrategyName


def local_devices() -> tuple[str, ...]:
    """The names of this machine's GPUs, or of its CPUs where there is no GPU."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tuple(device.name for device in found)


def make_strategy(
    name: StrategyName, devices: Sequence[str] | None = None
) -> tf.distribute.Strategy:
    """The strategy of that name over the devices (default: `local_devices()`).

    `auto` mirrors over several GPUs and otherwise takes the first device.

    Raises:
        ConfigError: mirrored was asked for and there is but one device.
    """
    chosen = tuple(devices) if devices is not None else local_devices()
    return _BUILDERS[name](chosen)


def check_batch(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Every replica must get the same share of a batch, or its gradient would weigh more.

    Raises:
        ConfigError: the global batch does not divide by the replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ConfigError(
            f"batch_size is {batch_size}, which {replicas} replicas cannot share evenly; "
            f"use a multiple of {replicas}, or strategy: one_device."
        )


def _auto(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    several_gpus = len(devices) > 1 and all("GPU" in device.upper() for device in devices)
    return _mirrored(devices) if several_gpus else _one_device(devices)


def _one_device(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.OneDeviceStrategy(devices[0])


def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    if len(devices) < 2:
        raise ConfigError(
            f"strategy is mirrored, but this machine has only {', '.join(devices)}; "
            "use strategy: auto, which takes what there is."
        )
    return tf.distribute.MirroredStrategy(devices)


# Strategies that span machines (multi-worker, TPU) join here, each with its own builder.
_BUILDERS: dict[StrategyName, Callable[[tuple[str, ...]], tf.distribute.Strategy]] = {
    StrategyName.AUTO: _auto,
    StrategyName.ONE_DEVICE: _one_device,
    StrategyName.MIRRORED: _mirrored,
}
