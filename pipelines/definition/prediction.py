"""The pipeline of predictions over an archive, defined once for every place that runs it."""

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from components.gate.component import Stop
from pipelines.config.tree import PipelineConfig
from pipelines.definition.resolve import RunInputs, prediction_of
from pipelines.definition.workspace import Workspace
from pipelines.prediction.component import Predict


def create_prediction_pipeline(config: PipelineConfig, inputs: RunInputs) -> Pipeline:
    """Builds the TFX pipeline without reading data or running anything.

    Args:
        config: the whole configuration.
        inputs: the external state from `resolve_prediction`.
    """
    workspace = Workspace(config.workspace)
    return Pipeline(
        pipeline_name=f"{config.name}-prediction",
        pipeline_root=workspace.artifacts,
        components=prediction_nodes(config, inputs),
        # A finished run is found by its output, which may be gone, and by its model's files.
        enable_cache=False,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(workspace.metadata),
        beam_pipeline_args=list(config.beam.options),
    )


def prediction_nodes(config: PipelineConfig, inputs: RunInputs) -> list[BaseNode]:
    """Builds the nodes in topological order."""
    predict = Predict(prediction_of(config), config.model_base, inputs.fingerprint)
    return [predict, Stop(predict.outputs["report"]).with_id("StopOnRejects")]
