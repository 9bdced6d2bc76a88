"""Numerical precision of layers, and XLA compilation of steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import keras
import tensorflow as tf

from components.raster.errors import ConfigError
from trainer.distribution.strategy import is_tpu
from trainer.training.config import TrainConfig

Policy = Literal["float32", "mixed_bfloat16", "mixed_float16"]

#: GPUs have float16 units from Volta on (NVIDIA, compute capability 7.0).
_HALF_CAPABILITY = (7, 0)


def choose_policy(config: TrainConfig, strategy: tf.distribute.Strategy) -> Policy:
    """Returns the configured policy; `auto` selects the fastest one on this machine."""
    if config.precision != "auto":
        return config.precision
    if is_tpu(strategy):
        return "mixed_bfloat16"
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        capable = details.get("compute_capability", (0, 0)) >= _HALF_CAPABILITY
        return "mixed_float16" if capable else "float32"
    return "mixed_bfloat16" if _cpu_has_bfloat16_units() else "float32"


@contextmanager
def computing_in(policy: Policy) -> Iterator[None]:
    """Makes layers created within compute in that type and keep float32 weights."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def choose_xla(config: TrainConfig, strategy: tf.distribute.Strategy) -> bool:
    """Decides whether to compile the step; a TPU always does, even if not asked to.

    On CPUs compiling takes longer than it saves, and a step of several replicas cannot be compiled
    as a whole. XLA may also run batches together that it compiles together.

    Raises:
        ConfigError: it is requested with several replicas.
    """
    if is_tpu(strategy) or config.xla == "off" or config.accumulate > 1:
        return False
    alone = strategy.num_replicas_in_sync == 1
    if config.xla == "auto":
        return alone and bool(tf.config.list_physical_devices("GPU"))
    if not alone:
        raise ConfigError(
            f"xla is on, but the step is shared by {strategy.num_replicas_in_sync} replicas, which "
            "XLA cannot compile; use xla: auto, or strategy: one_device."
        )
    return True


def _cpu_has_bfloat16_units() -> bool:
    """Checks for bfloat16 matrix units (AMX) of the CPU; vector units alone gain nothing."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
