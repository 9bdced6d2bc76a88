"""Lowers TFX's IR for Vertex AI to the IR of Kubeflow's open-source backend: pure functions.

Every part is a new object; the input IR is not modified.
"""

from collections.abc import Mapping
from typing import Any

from components.raster.errors import ConfigError
from pipelines.config.kubeflow import Retries
from pipelines.kubeflow.compile.containers import StepFolders, executor_class, node_container
from pipelines.kubeflow.contract.names import component_name, executor_label, kebab
from pipelines.kubeflow.contract.package_format import SCHEMA_VERSION, Json
from pipelines.kubeflow.contract.prepared import NODE as PREPARE
from pipelines.kubeflow.contract.prepared import PREPARED, STOP
from pipelines.kubeflow.contract.signature import RUN_ID, STOP_EXECUTOR, NodeSignature, NodeTypes
from pipelines.kubeflow.contract.views import views_of

#: The backend's placeholder for the run's id, as the value of a task's parameter.
_RUN = "{{$.pipeline_job_uuid}}"
_TFX_RUN_PARAMETER = "pipeline-run-id"

_SYSTEM_TYPES = {
    "tfx.types.standard_artifacts.Examples": "system.Dataset",
    "tfx.types.standard_artifacts.Model": "system.Model",
    "tfx.types.standard_artifacts.PushedModel": "system.Model",
}


def unwrap(job: Json) -> Json:
    """Returns the PipelineSpec in a PipelineJob.

    Raises:
        ConfigError: its schema version is not 2.1.0, or a step is not a container.
    """
    spec: Json = job["pipelineSpec"]
    if spec.get("schemaVersion") != SCHEMA_VERSION:
        raise ConfigError(f"Kubeflow takes schema {SCHEMA_VERSION}, not {spec['schemaVersion']}")
    for label, executor in spec["deploymentSpec"]["executors"].items():
        if "container" not in executor:
            raise ConfigError(
                f"{label}: Kubeflow runs containers only, not a {', '.join(executor)}; a node that "
                "does its own look-ups, such as Baseline, runs anywhere"
            )
    return spec


def signature_of(node: str, spec: Json, types: NodeTypes) -> NodeSignature:
    """Returns the signature of a node for the entry point."""
    component = spec["components"][node]
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    parameters = component.get("inputDefinitions", {}).get("parameters", {})
    return NodeSignature(
        executor=executor_class(container["args"]),
        inputs=types.inputs,
        outputs=types.outputs,
        parameters={name: known["parameterType"] for name, known in parameters.items()},
        views=views_of(types.outputs),
    )


def lower_component(node: str, signature: NodeSignature, with_run_id: bool) -> Json:
    """Converts inputs and outputs to Kubeflow's own types, and adds the views to the outputs."""
    parameters = {name: {"parameterType": kind} for name, kind in signature.parameters.items()}
    if with_run_id:
        parameters[RUN_ID] = {"parameterType": "STRING"}
    inputs: Json = {
        "parameters": parameters,
        "artifacts": {
            name: {**_type(kind.type), **({"isOptional": True} if kind.optional else {})}
            for name, kind in signature.inputs.items()
        },
    }
    outputs = {name: _type(kind) for name, kind in signature.outputs.items()}
    outputs |= {view.name: _artifact_type(view.schema) for view in signature.views}
    return _filled(
        executorLabel=executor_label(node),
        inputDefinitions=_filled(**inputs),
        outputDefinitions=_filled(artifacts=outputs),
    )


def lower_executor(node: str, spec: Json, signature: NodeSignature, folders: StepFolders) -> Json:
    """Replaces TFX's entry point with ours, without a lifecycle."""
    label = spec["components"][node]["executorLabel"]
    args = spec["deploymentSpec"]["executors"][label]["container"]["args"]
    return node_container(signature, args, node, folders)


def lower_task(
    node: str, task: Json, *, cached: bool, retries: Retries | None, with_run_id: bool
) -> Json:
    """Lowers names, dependencies, parameters, caching and retries of one task.

    The backend orders tasks by `dependentTasks` only, so every edge of an input is among them.
    """
    given = task.get("inputs", {})
    parameters = {
        name: _parameter(node, name, value) for name, value in given.get("parameters", {}).items()
    }
    if with_run_id:
        parameters[RUN_ID] = {"runtimeValue": {"constant": _RUN}}
    artifacts = {
        name: {
            "taskOutputArtifact": {
                "producerTask": kebab(value["taskOutputArtifact"]["producerTask"]),
                "outputArtifactKey": value["taskOutputArtifact"]["outputArtifactKey"],
            }
        }
        for name, value in given.get("artifacts", {}).items()
    }
    producers = {value["taskOutputArtifact"]["producerTask"] for value in artifacts.values()}
    producers |= {
        value["taskOutputParameter"]["producerTask"]
        for value in parameters.values()
        if "taskOutputParameter" in value
    }
    producers |= {kebab(name) for name in task.get("dependentTasks", [])}
    if kebab(PREPARE) in producers and node != STOP:
        producers.add(kebab(STOP))
    return _filled(
        taskInfo={"name": kebab(node)},
        componentRef={"name": component_name(node)},
        inputs=_filled(parameters=parameters, artifacts=artifacts),
        dependentTasks=sorted(producers),
        cachingOptions={"enableCache": True} if cached else {},
        retryPolicy=_retry_policy(retries),
    )


def retries_of(signature: NodeSignature, retries: Retries | None) -> Retries | None:
    """Returns a node's retries; None for a stop node, which would only fail again."""
    return None if signature.executor == STOP_EXECUTOR else retries


def lower_nodes(spec: Json, types: Mapping[str, NodeTypes]) -> dict[str, NodeSignature]:
    """Returns the signatures of all nodes, by node."""
    return {node: signature_of(node, spec, types[node]) for node in spec["root"]["dag"]["tasks"]}


def _parameter(node: str, name: str, value: Json) -> Json:
    if (node, name) in PREPARED:
        key = PREPARED[node, name]
        producer = kebab(PREPARE)
        return {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": key}}
    if value.get("componentInputParameter") == _TFX_RUN_PARAMETER:
        return {"runtimeValue": {"constant": _RUN}}
    if "runtimeValue" not in value:
        raise ConfigError(f"{node}.{name}: Kubeflow cannot be given {value}")
    return {"runtimeValue": {"constant": value["runtimeValue"]["constant"]}}


def _type(path: str) -> Json:
    return _artifact_type(_SYSTEM_TYPES.get(path, "system.Artifact"))


def _artifact_type(title: str) -> Json:
    return {"artifactType": {"schemaTitle": title, "schemaVersion": "0.0.1"}}


def _retry_policy(retries: Retries | None) -> Json:
    """Returns the retry policy; the backend passes `backoffMaxDuration` to Argo as `maxDuration`,
    the time since the first attempt, whose default of 0 allows no retry at all.
    """
    if retries is None or not retries.count:
        return {}
    return {
        "maxRetryCount": retries.count,
        "backoffDuration": f"{retries.backoff_s}s",
        "backoffFactor": retries.factor,
        "backoffMaxDuration": f"{retries.give_up_after_s}s",
    }


def _filled(**parts: Any) -> Json:
    """Drops empty parts, except `cachingOptions`, which disables caching when empty."""
    return {name: part for name, part in parts.items() if part or name == "cachingOptions"}
