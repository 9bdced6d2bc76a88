"""TPU of a step on GKE: resource, node labels, and the variable by which the training finds it.

GKE itself adds the toleration of its taint on TPU nodes to pods that request the resource.
"""

from collections.abc import Mapping

from components.raster.errors import ConfigError
from pipelines.config.kubeflow import Accelerator, StepConfig

_RESOURCE = "google.com/tpu"
_ACCELERATOR = "cloud.google.com/gke-tpu-accelerator"
_TOPOLOGY = "cloud.google.com/gke-tpu-topology"
#: Without it `strategy: auto` would train on the CPU of a TPU node if TensorFlow lacks TPU support.
_LOCAL = {"TPU_NAME": "local"}


def with_tpu(node: str, step: StepConfig) -> StepConfig:
    """Returns the step with its TPU as resource, node selector and environment.

    Raises:
        ConfigError: the step's own selector or environment contradicts it.
    """
    if step.tpu is None:
        return step
    labels = {_ACCELERATOR: step.tpu.accelerator, _TOPOLOGY: step.tpu.topology}
    return step.model_copy(
        update={
            "accelerator": Accelerator(resource=_RESOURCE, count=step.tpu.chips),
            "node_selector": _merged(node, "node_selector", step.node_selector or {}, labels),
            "environment": {**_LOCAL, **(step.environment or {})},
        }
    )


def _merged(
    node: str, option: str, own: Mapping[str, str], needed: Mapping[str, str]
) -> dict[str, str]:
    for key, value in needed.items():
        if own.get(key, value) != value:
            raise ConfigError(
                f"{node}: {option} has {key}: {own[key]}, and tpu needs {value}; leave it out there"
            )
    return {**own, **needed}
