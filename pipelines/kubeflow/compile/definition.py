"""The pipeline's one definition, compiled by TFX's own compiler for Kubeflow."""

import os
from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as dag_runner
from tfx.orchestration.pipeline import Pipeline
from tfx.utils import name_utils

from pipelines.config.tree import PipelineConfig
from pipelines.definition.kinds import Kind, name_of
from pipelines.definition.resolve import RunInputs
from pipelines.kubeflow.contract.names import kebab
from pipelines.kubeflow.contract.nodes import cluster_nodes
from pipelines.kubeflow.contract.signature import InputType, NodeTypes

#: Placeholder; the lowering sets every image, and TFX would otherwise name its own.
_NO_IMAGE = "none"


def tfx_job(config: PipelineConfig, kind: Kind) -> tuple[dict[str, Any], dict[str, NodeTypes]]:
    """Returns TFX's PipelineJob (protojson), and the types that its IR does not carry."""
    nodes = cluster_nodes(config, RunInputs(fingerprint="", schema_sha256=""), kind)
    pipeline = Pipeline(
        pipeline_name=kebab(name_of(config, kind)),
        pipeline_root=config.kubeflow.pipeline_root or os.sep,
        components=nodes,
        enable_cache=True,
        beam_pipeline_args=list(config.beam.options),
    )
    options = dag_runner.KubeflowV2DagRunnerConfig(
        default_image=_NO_IMAGE, use_pipeline_spec_2_1=True
    )
    job = dag_runner.KubeflowV2DagRunner(options).run(pipeline, write_out=False)
    return job, {node.id: _types(node) for node in nodes if isinstance(node, BaseComponent)}


def _types(node: BaseComponent) -> NodeTypes:
    return NodeTypes(
        inputs={
            name: InputType(
                name_utils.get_full_name(channel.type), bool(node.spec.INPUTS[name].optional)
            )
            for name, channel in node.inputs.items()
        },
        outputs={
            name: name_utils.get_full_name(channel.type) for name, channel in node.outputs.items()
        },
    )
