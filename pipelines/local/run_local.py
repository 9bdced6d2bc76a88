"""Runs the pipeline in this process with TFX's launcher, one node after the other."""

import time
from collections.abc import Callable
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler.compiler import Compiler
from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import artifact

from components.gate.report import GateFailed
from components.raster.masking import masked_tree
from pipelines.local.record import Artifact, NodeRecord

Observer = Callable[[NodeRecord], None]


def run_local(pipeline: Pipeline, run_id: str, observe: Observer) -> None:
    """Runs every node in topological order and reports each start and end.

    TFX's LocalDagRunner does the same but reports no progress.

    Args:
        pipeline: the pipeline from `create_pipeline`.
        run_id: id of this run in the lineage store.
        observe: called with a `NodeRecord` when a node starts and again when it ends.

    Raises:
        GateFailed: a stop node found a failed check; earlier nodes keep their outputs.
        Exception: any error of a node's executor.
    """
    ir = Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        ir, {PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    deployment = runner_utils.extract_local_deployment_config(ir)
    for node in ir.nodes:
        _launch(ir, node.pipeline_node, deployment, _connect(deployment), observe)


def _connect(deployment: Any) -> metadata.Metadata:
    config = deployment.metadata_connection_config
    return metadata.Metadata(getattr(config, config.WhichOneof("connection_config")))


def _launch(
    ir: pipeline_pb2.Pipeline,
    node: pipeline_pb2.PipelineNode,
    deployment: Any,
    mlmd: metadata.Metadata,
    observe: Observer,
) -> None:
    node_id = node.node_info.id
    observe(NodeRecord(node_id, "running"))
    began = time.monotonic()
    try:
        execution = launcher.Launcher(
            pipeline_node=node,
            mlmd_connection=mlmd,
            pipeline_info=ir.pipeline_info,
            pipeline_runtime_spec=ir.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
        ).launch()
    except BaseException as error:
        state = "stopped" if isinstance(error, GateFailed) else "failed"
        observe(NodeRecord(node_id, state, time.monotonic() - began))
        raise
    observe(_finished(mlmd, node_id, execution.execution_id, time.monotonic() - began))


def _finished(mlmd: metadata.Metadata, node_id: str, execution: int, seconds: float) -> NodeRecord:
    """Returns the lineage store's record of an execution, including cached outputs."""
    with mlmd as handle:
        [known] = handle.store.get_executions_by_id([execution])
        cached = known.last_known_state == metadata_store_pb2.Execution.CACHED
        inputs = execution_lib.get_input_artifacts(handle, execution)
        outputs = execution_lib.get_output_artifacts(handle, execution)
    return NodeRecord(
        node_id,
        "cached" if cached else "complete",
        seconds,
        {channel: tuple(a.id for a in artifacts) for channel, artifacts in inputs.items()},
        {channel: tuple(_artifact(a) for a in artifacts) for channel, artifacts in outputs.items()},
    )


def _artifact(known: artifact.Artifact) -> Artifact:
    proto = known.mlmd_artifact
    values = {**proto.properties, **proto.custom_properties}
    plain = {name: getattr(value, value.WhichOneof("value")) for name, value in values.items()}
    simple = {name: it for name, it in plain.items() if isinstance(it, str | int | float)}
    return Artifact(known.type_name, known.uri, known.id, masked_tree(simple))
