"""The nodes of the pipeline as a cluster runs them."""

from tfx.dsl.components.base.base_node import BaseNode

from pipelines.config.tree import PipelineConfig
from pipelines.definition.kinds import Kind
from pipelines.definition.prediction import prediction_nodes
from pipelines.definition.resolve import RunInputs
from pipelines.definition.training import TrainerFn, pipeline_nodes
from pipelines.definition.workspace import Workspace
from pipelines.kubeflow.contract.mounts import is_mounted
from pipelines.kubeflow.contract.workers import WORKERS_FN, WORKERS_KEY, worker_pods


def cluster_nodes(
    config: PipelineConfig, inputs: RunInputs, kind: Kind = "training"
) -> list[BaseNode]:
    """Builds the nodes; checkpoints go to a mounted volume, else to the step's own folders."""
    if kind == "prediction":
        return prediction_nodes(config, inputs)
    workspace = Workspace(config.workspace)
    return pipeline_nodes(
        config,
        inputs,
        checkpoint_root=_lasting(config, "Trainer", workspace.checkpoints),
        tuning_root=_lasting(config, "Tuner", workspace.tuning),
        trainer_fn=_trainer_fn(config),
    )


def _trainer_fn(config: PipelineConfig) -> TrainerFn:
    """Returns the function that trains in the step's own process, or on pods of their own."""
    pods = worker_pods(config)
    if pods is None:
        return TrainerFn()
    return TrainerFn(WORKERS_FN, {WORKERS_KEY: pods.model_dump_json()})


def _lasting(config: PipelineConfig, node: str, root: str) -> str:
    return root if is_mounted(config, node, root) else ""
