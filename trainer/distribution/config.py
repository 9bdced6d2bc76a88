"""The names of the distribution strategies, as the configuration spells them."""

from enum import StrEnum


class StrategyName(StrEnum):
    """Distribution strategy: how the replicas of a training step are spread over devices."""

    AUTO = "auto"
    ONE_DEVICE = "one_device"
    MIRRORED = "mirrored"
    MULTI_WORKER = "multi_worker"
    TPU = "tpu"
