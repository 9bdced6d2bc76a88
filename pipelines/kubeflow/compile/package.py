"""Compiles a configuration to the package to submit: two YAML documents in one file."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from components.raster.errors import ConfigError
from pipelines.config.kubeflow import Retries, StepConfig
from pipelines.config.tree import PipelineConfig
from pipelines.definition.extensions import check_extensions
from pipelines.definition.kinds import Kind, name_of, require_runnable
from pipelines.definition.workspace import Workspace
from pipelines.kubeflow.compile import lowering
from pipelines.kubeflow.compile.containers import StepFolders, prepare_container, stop_container
from pipelines.kubeflow.compile.definition import tfx_job
from pipelines.kubeflow.compile.images import check_image, is_fixed
from pipelines.kubeflow.compile.platform import platform_config, platform_document
from pipelines.kubeflow.compile.pod_rules import require_pods
from pipelines.kubeflow.compile.resources import kubernetes_resources, vertex_resources
from pipelines.kubeflow.compile.tpu import with_tpu
from pipelines.kubeflow.compile.vertex import refuse_kubernetes_only, require_vertex_names
from pipelines.kubeflow.contract.mounts import is_mounted, require_mounts
from pipelines.kubeflow.contract.names import component_name, executor_label, kebab
from pipelines.kubeflow.contract.package_format import SCHEMA_VERSION, Json
from pipelines.kubeflow.contract.parameters import RunParameter, run_parameters
from pipelines.kubeflow.contract.prepared import CONFIG, FAILURE, PREDICT, STOP, prepared
from pipelines.kubeflow.contract.prepared import NODE as PREPARE
from pipelines.kubeflow.contract.strict import strict_job, strict_platform, strict_spec
from pipelines.kubeflow.contract.workers import coordinator

#: Nodes that read external state, so that their cached outputs may be outdated.
_NEVER_CACHED = (PREPARE, STOP, "Baseline", "Push", PREDICT)
#: The label by which the Service of k8s/tuner finds the step that workers contact.
_CHIEF = {"skymill/tuner": "chief"}
_WITH_RUN_ID = ("Push",)
#: Vertex AI mounts all buckets of Cloud Storage.
_VERTEX_MOUNTS = ("/gcs",)


@dataclass(frozen=True)
class Package:
    """A PipelineSpec and its platform document, both protojson."""

    spec: Json
    platform: Json

    def to_yaml(self) -> str:
        """Serialises both documents, keys sorted, with the parameters as a comment on top."""
        documents = [self.spec, self.platform] if self.platform else [self.spec]
        dumped: str = yaml.dump_all(documents, Dumper=_Blocks, sort_keys=True, width=100)
        return _comment(self.spec) + dumped


class _Blocks(yaml.SafeDumper):
    """YAML dumper that writes multi-line texts as blocks, for readable diffs."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Blocks.add_representer(str, _text)


def compile_package(
    config: PipelineConfig, *, vertex: bool = False, kind: Kind = "training"
) -> Package:
    """Compiles one definition of a pipeline.

    Args:
        config: the whole configuration.
        vertex: write resources as Vertex AI names them, and no platform document.
        kind: which pipeline of the configuration.

    Raises:
        ConfigError: an image may change under its name, a path would not exist, Kubernetes would
            refuse a pod, a node in `kubeflow.nodes` or the network does not exist, there is nothing
            to learn, or a package of the user's has a fault (the step Prepare checks those that are
            not installed here).
    """
    require_runnable(config, kind)
    check_extensions(config)
    job, types = tfx_job(config, kind)
    spec = lowering.unwrap(job)
    signatures = lowering.lower_nodes(spec, types)
    steps = _steps(config, [PREPARE, STOP, *signatures], kind)
    if not vertex:
        require_pods(steps, config.kubeflow)
    mounted = _VERTEX_MOUNTS if vertex else ()
    require_mounts(config, mounted, kind)
    tasks, components, executors = _prepare(config, steps[PREPARE], mounted, kind)
    for parts, part in zip((tasks, components, executors), _stop_on_inputs(), strict=True):
        parts.update(part)
    for node, signature in signatures.items():
        with_run_id = node in _WITH_RUN_ID
        retries = lowering.retries_of(signature, steps[node].retries)
        tasks[kebab(node)] = lowering.lower_task(
            node,
            spec["root"]["dag"]["tasks"][node],
            cached=_is_cached(node, steps[node]),
            retries=retries,
            with_run_id=with_run_id,
        )
        components[component_name(node)] = lowering.lower_component(node, signature, with_run_id)
        executors[executor_label(node)] = lowering.lower_executor(
            node, spec, signature, _folders(config, node, retries)
        )
    for node, step in steps.items():
        executors[executor_label(node)] = _container(executors[executor_label(node)], step, vertex)
    lowered = _spec(config, kind, spec, tasks, components, executors)
    pods = {executor_label(n): platform_config(step, config.kubeflow) for n, step in steps.items()}
    platform = {} if vertex else platform_document(pods)
    return Package(strict_spec(lowered), strict_platform(platform))


def vertex_job(config: PipelineConfig, kind: Kind = "training") -> Json:
    """Returns the PipelineJob (protojson) for Vertex AI Pipelines.

    Raises:
        ConfigError: there is no gs:// pipeline root, a step needs a feature that only Kubernetes
            has, or Vertex AI does not accept a name.
    """
    root = config.kubeflow.pipeline_root or ""
    if config.tune and config.tune.workers:
        raise ConfigError(
            "tune.workers: Vertex AI has no Service by which workers would find the step Tuner. "
            "Leave it out: the step runs all trials itself"
        )
    if config.kubeflow.workers:
        raise ConfigError("kubeflow.workers: Vertex AI has no JobSet; leave it out")
    for node in (PREPARE, *sorted(config.kubeflow.nodes)):
        refuse_kubernetes_only(node, config.kubeflow.step(node))
    spec = compile_package(config, vertex=True, kind=kind).spec
    job = {
        "displayName": name_of(config, kind),
        "pipelineSpec": spec,
        "runtimeConfig": {"gcsOutputDirectory": root},
    }
    require_vertex_names(job)
    return strict_job(job)


def _steps(config: PipelineConfig, nodes: list[str], kind: Kind) -> dict[str, StepConfig]:
    """Returns the settings of each node, with its image checked.

    Names are checked against the training pipeline, which has the most nodes.
    """
    for name in config.kubeflow.nodes if kind == "training" else ():
        if name not in (*nodes, PREDICT):
            near = difflib.get_close_matches(name, nodes, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(nodes)}."
            raise ConfigError(f"kubeflow.nodes.{name}: the pipeline has no such node. {hint}")
    steps = {node: _step(config, node) for node in nodes}
    for node, step in steps.items():
        check_image(step.image, node, config.kubeflow.mutable_images)
    return steps


def _step(config: PipelineConfig, node: str) -> StepConfig:
    step = with_tpu(node, config.kubeflow.step(node))
    if node == "Trainer" and config.kubeflow.workers:
        return coordinator(step, config.kubeflow.steps)
    if node != "Tuner" or config.tune is None or config.tune.workers is None:
        return step
    return step.model_copy(update={"labels": {**(step.labels or {}), **_CHIEF}})


def _is_cached(node: str, step: StepConfig) -> bool:
    """Checks whether a node may be cached: not with an image whose tag may move."""
    return node not in _NEVER_CACHED and step.cache is not False and is_fixed(step.image or "")


def _folders(config: PipelineConfig, node: str, retries: Retries | None) -> StepFolders:
    failures = Workspace(config.workspace).failures
    marked = retries is not None and retries.count and is_mounted(config, node, failures)
    return StepFolders(config.beam.exchange, failures if marked else None)


def _container(container: Json, step: StepConfig, vertex: bool) -> Json:
    resources = vertex_resources(step) if vertex else kubernetes_resources(step)
    environment = [{"name": k, "value": v} for k, v in sorted((step.environment or {}).items())]
    parts = {**container, "image": step.image, "resources": resources, "env": environment}
    return {"container": {name: part for name, part in parts.items() if part}}


def _prepare(
    config: PipelineConfig, step: StepConfig, mounted: Sequence[str], kind: Kind
) -> tuple[Json, Json, Json]:
    """Returns task, component and executor of Prepare, the step before all nodes."""
    parameters = run_parameters(config, kind)
    text = json.dumps(config.json_tree(by_alias=True), sort_keys=True, indent=1)
    given: Json = {it.name: {"componentInputParameter": it.name} for it in parameters}
    given[CONFIG] = {"runtimeValue": {"constant": text}}
    task = lowering.lower_task(
        PREPARE, {}, cached=False, retries=step.retries, with_run_id=False
    ) | {"inputs": {"parameters": given}}
    kinds = {it.name: {"parameterType": it.kind} for it in parameters}
    kinds[CONFIG] = {"parameterType": "STRING"}
    component = {
        "executorLabel": executor_label(PREPARE),
        "inputDefinitions": {"parameters": kinds},
        "outputDefinitions": {
            "parameters": {
                key: {"parameterType": "STRING"}
                for key in (*prepared(config, kind).values(), FAILURE)
            }
        },
    }
    return (
        {kebab(PREPARE): task},
        {component_name(PREPARE): component},
        {executor_label(PREPARE): prepare_container(mounted, kind)},
    )


def _stop_on_inputs() -> tuple[Json, Json, Json]:
    """Returns task, component and executor of the step that stops on a failure of Prepare."""
    output = {"producerTask": kebab(PREPARE), "outputParameterKey": FAILURE}
    task = {
        **lowering.lower_task(STOP, {}, cached=False, retries=None, with_run_id=False),
        "inputs": {"parameters": {FAILURE: {"taskOutputParameter": output}}},
        "dependentTasks": [kebab(PREPARE)],
    }
    component = {
        "executorLabel": executor_label(STOP),
        "inputDefinitions": {"parameters": {FAILURE: {"parameterType": "STRING"}}},
    }
    return (
        {kebab(STOP): task},
        {component_name(STOP): component},
        {executor_label(STOP): stop_container()},
    )


def _spec(
    config: PipelineConfig,
    kind: Kind,
    tfx: Json,
    tasks: Json,
    components: Json,
    executors: Json,
) -> Json:
    root = config.kubeflow.pipeline_root
    return {
        "pipelineInfo": {"name": kebab(name_of(config, kind))},
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": tfx["sdkVersion"],
        "components": components,
        "deploymentSpec": {"executors": executors},
        "root": {
            "dag": {"tasks": tasks},
            "inputDefinitions": {"parameters": _definitions(run_parameters(config, kind))},
        },
        **({"defaultPipelineRoot": root} if root else {}),
    }


def _definitions(parameters: tuple[RunParameter, ...]) -> Json:
    """Defines the parameters with their defaults, which TFX omits and the backend requires."""
    return {
        it.name: {
            "parameterType": it.kind,
            "defaultValue": it.default,
            "description": it.description,
            "isOptional": True,
        }
        for it in parameters
    }


def _comment(spec: Json) -> str:
    lines = ["# PIPELINE DEFINITION", f"# Name: {spec['pipelineInfo']['name']}", "# Inputs:"]
    for name, known in sorted(spec["root"]["inputDefinitions"]["parameters"].items()):
        default = json.dumps(known["defaultValue"])
        lines.append(f"#    {name}: {known['parameterType']} [Default: {default}]")
    return "\n".join(lines) + "\n"
