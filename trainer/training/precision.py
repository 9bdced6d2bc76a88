"""What layers compute in, and whether a step is compiled with XLA."""

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

#: From Volta on GPUs have units for float16 (NVIDIA, compute capability 7.0).
_HALF_CAPABILITY = (7, 0)


def choose_policy(config: TrainConfig, strategy: tf.distribute.Strategy) -> Policy:
    """The configured policy, or of `auto` the one that pays on this machine."""
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
    """Layers made within compute in that type and keep float32 weights."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def choose_xla(config: TrainConfig, strategy: tf.distribute.Strategy) -> bool:
    """Whether to compile the step; on a TPU it always is, without being asked.

    On CPUs compiling takes longer than it saves, and a step of several replicas cannot be compiled
    as a whole. Batches that XLA compiles together it may also run together.

    Raises:
        ConfigError: it was asked for with several replicas.
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
    """Whether the CPU multiplies matrices of bfloat16 (AMX); vector units alone gain nothing."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
