"""Pods that train together in place of the Trainer step: their settings, and those of the step."""

from components.raster.errors import ConfigError
from components.raster.frozen import Frozen
from pipelines.config.kubeflow import StepConfig, Workers
from pipelines.config.tree import PipelineConfig
from pipelines.kubeflow.contract.mounts import is_mounted
from trainer.distribution.config import StrategyName

#: The function that TFX's Trainer calls to train on pods, and its key of the custom_config.
WORKERS_FN = "pipelines.kubeflow.step.workers.run_fn"
WORKERS_KEY = "workers"

_NODE = "Trainer"
_STRATEGIES = (StrategyName.AUTO, StrategyName.MULTI_WORKER)


class WorkerPods(Frozen):
    """Settings of the pods.

    Attributes:
        workers: their number and what they share.
        step: settings of each pod, which the configuration gives to the Trainer.
        pull_secrets: secrets with credentials for the image's registry.
    """

    workers: Workers
    step: StepConfig
    pull_secrets: tuple[str, ...] = ()


def worker_pods(config: PipelineConfig) -> WorkerPods | None:
    """Returns the pods of a configuration with `kubeflow.workers`; else None.

    Raises:
        ConfigError: the training cannot be spread over pods, or they share no folder.
    """
    workers = config.kubeflow.workers
    if workers is None:
        return None
    step = config.kubeflow.step(_NODE)
    if step.tpu:
        raise ConfigError("kubeflow.workers: TPU chips of several hosts are not supported")
    if config.train.strategy not in _STRATEGIES:
        raise ConfigError(
            "kubeflow.workers needs train.strategy auto or multi_worker, not "
            f"{config.train.strategy}"
        )
    if config.train.batch_size % workers.count:
        raise ConfigError(
            f"train.batch_size is {config.train.batch_size}, which {workers.count} workers cannot "
            f"share evenly: give a multiple of {workers.count}"
        )
    if not is_mounted(config, _NODE, workers.exchange):
        raise ConfigError(
            f"kubeflow.workers.exchange: {workers.exchange} is on no volume of {_NODE}; mount a "
            "ReadWriteMany claim in kubeflow.steps.volumes"
        )
    policy = step.image_pull_policy or config.kubeflow.image_pull_policy
    step = step.model_copy(update={"image_pull_policy": policy})
    return WorkerPods(workers=workers, step=step, pull_secrets=config.kubeflow.image_pull_secrets)


def coordinator(step: StepConfig, common: StepConfig) -> StepConfig:
    """Returns the settings of the Trainer step itself, which only waits for its workers.

    Args:
        step: settings of the pods that train.
        common: settings of every step, from which resources and placement are taken.
    """
    placed = (
        *("cpu_request", "cpu_limit", "memory_request", "memory_limit"),
        *("node_selector", "tolerations", "shared_memory"),
    )
    update = {name: getattr(common, name) for name in placed}
    return step.model_copy(update={**update, "accelerator": None})
