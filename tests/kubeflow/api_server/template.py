"""The API server's reading of a package, and its refusals.

Written from the behaviour of its sources (apiserver/template, v2/compiler). One difference: a
`constantValue` passes the real server and fails in the driver of the step; here it is refused at
once, with the driver's reason.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.kubeflow.api_server.refusals import Refusal, invalid

Json = dict[str, Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,126}[a-z0-9])?")
#: Fields that servers before 2.14 do not know, in the package and in its platform document.
_NEWER_THAN_OLD = {
    "taskConfigPassthroughs",
    "literals",
    "customPath",
    "downloadToWorkspace",
    "securityContext",
    "subPath",
    "nodeAffinityJson",
}
#: By type: its name, the server's message for another value, and the values of Python.
_KINDS: dict[str, tuple[str, str, Any]] = {
    "NUMBER_DOUBLE": ("double or integer", "the parameter value is not of number", (int, float)),
    "NUMBER_INTEGER": ("double or integer", "the parameter value is not of number", (int, float)),
    "STRING": ("string", "the input parameter is not of string", str),
    "BOOLEAN": ("bool", "the input parameter is not of bool", bool),
    "LIST": ("list", "the input parameter is not of list", list),
    "STRUCT": ("struct", "the input parameter is not of struct", dict),
}
#: Internal errors have Go's stack, of which this is the beginning.
_STACK = """
github.com/kubeflow/pipelines/backend/src/common/util.Wrap
\tgithub.com/kubeflow/pipelines/backend/src/common/util/error.go:361
net/http.(*conn).serve
\tnet/http/server.go:2067"""


def read_template(text: str, *, old: bool = False) -> tuple[Json, Json]:
    """The PipelineSpec and the platform document of a package, as the server reads them.

    Raises:
        Refusal: it finds none, or one that it does not take.
    """
    try:
        documents = [one for one in yaml.safe_load_all(text) if isinstance(one, dict)]
    except yaml.YAMLError as error:
        raise _unreadable(f"failed to parse pipeline spec YAML: {error}") from error
    specs = [one for one in documents if _is_spec(one, old)]
    platforms = [one for one in documents if not _is_spec(one, old) and _is_platform(one, old)]
    if not specs:
        raise _unreadable("unknown template format")
    if len(specs) > 1:
        raise _unreadable("multiple pipeline specs provided")
    [spec] = specs
    version = spec.get("schemaVersion", "")
    if version != "2.1.0":
        raise _unreadable(
            "KFP only supports schema version 2.1.0, but the pipeline spec has version " + version
        )
    if not _NAME.fullmatch(spec["pipelineInfo"]["name"]):
        raise invalid(
            "pipeline's name must contain only lowercase alphanumeric characters or '-' and must "
            "start with alphanumeric characters"
        )
    return spec, platforms[0] if platforms else {}


def check_runnable(spec: Json, platform: Json, *, old: bool = False) -> None:
    """Raises the refusals of the server's compiler, for a new run or schedule."""
    deployment = spec.get("deploymentSpec", {})
    pods = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
    for name, task in spec["root"].get("dag", {}).get("tasks", {}).items():
        reference = task.get("componentRef", {}).get("name")
        component = spec.get("components", {}).get(reference)
        if component is None:
            raise _processing("root", f"cannot find component ref name for task name={name!r}")
        label = component.get("executorLabel", "")
        executor = deployment.get("executors", {}).get(label)
        if executor is None:
            raise _processing(
                reference, f'executor(label="{label}") not found in deployment config'
            )
        _check_pod(name, pods.get("executors", {}).get(label, {}), old)
        if "importer" in executor:
            _check_importer(name, task, executor["importer"])
        elif "container" not in executor:
            raise _processing(
                reference,
                f'executor(label="{label}"): non-container and non-importer executor not '
                "implemented",
            )
        for key, given in task.get("inputs", {}).get("parameters", {}).items():
            if "constantValue" in given.get("runtimeValue", {}):
                raise _processing(
                    name,
                    f"resolving input parameter {key}: param runtime value spec of type "
                    "ValueOrRuntimeParameter_ConstantValue not implemented",
                )


def check_parameters(spec: Json, given: Json) -> None:
    """Raises the server's refusals of a run's parameters."""
    known = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, one in known.items():
        if name not in given:
            if not one.get("isOptional") and one.get("defaultValue") is None:
                raise _inputs(
                    f"parameter {name} is not optional, yet has neither default value nor user "
                    "provided value"
                )
            continue
        kind = one.get("parameterType", "PARAMETER_TYPE_ENUM_UNSPECIFIED")
        if kind not in _KINDS:
            raise _inputs(f"input parameter {name} has unspecified type")
        words, otherwise, types = _KINDS[kind]
        fits = isinstance(given[name], types) and (
            kind == "BOOLEAN" or not isinstance(given[name], bool)
        )
        if not fits:
            raise _inputs(
                f"input parameter {name} requires type {words}, but {otherwise} value type"
            )
    if extra := sorted(set(given) - set(known)):
        raise _inputs("parameter(s) provided are not required by pipeline: " + ", ".join(extra))


def _is_spec(tree: Json, old: bool) -> bool:
    """Checks for a document that the protobuf accepts, with a name and a root."""
    if old and _NEWER_THAN_OLD & set(_keys(tree)):
        return False
    try:
        message = json_format.ParseDict(tree, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError:
        return False
    return bool(message.pipeline_info.name) and message.HasField("root")


def _is_platform(tree: Json, old: bool) -> bool:
    """Checks for a platform document; others are silently ignored."""
    kubernetes = tree.get("platforms", {}).get("kubernetes", {})
    if old and set(kubernetes) - {"deploymentSpec"}:
        return False
    try:
        message = json_format.ParseDict(tree, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError:
        return False
    return "kubernetes" in message.platforms


def _check_pod(name: str, pod: Json, old: bool) -> None:
    try:
        unknown = sorted(_NEWER_THAN_OLD & set(_keys(pod))) if old else []
        if unknown:
            raise json_format.ParseError(f"unknown field {unknown[0]!r}")
        json_format.ParseDict(pod, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    except json_format.ParseError as error:
        raise _processing(name, f"failed to add Kubernetes spec for {name}: {error}") from error


def _check_importer(name: str, task: Json, importer: Json) -> None:
    """The real server finds these two when the importer runs."""
    if task.get("taskInfo", {}).get("name") != name:
        raise _processing(name, f"importer: task {name} has another name in taskInfo")
    uri = importer.get("artifactUri", {}).get("constant", "")
    if not re.match(r"(gs|s3|minio)://", uri):
        raise _processing(name, f"no provider scheme found in artifact URI: {uri}")


def _keys(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield name
            yield from _keys(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _keys(value)


def _unreadable(message: str) -> Refusal:
    return Refusal(3, f"InvalidInputError: {message}: pipeline spec is invalid")


def _processing(component: str, message: str) -> Refusal:
    """The compiler's errors are not the user's errors: they reach the client as internal ones."""
    text = f'Internal error: error processing component name="{component}": {message}'
    for layer in ("compile job", "generate the ExecutionSpec", "create a new run"):
        text += f"\nFailed to {layer}{_STACK}"
    return Refusal(13, text)


def _inputs(message: str) -> Refusal:
    inputs = invalid(message).within("invalid pipeline job inputs")
    return inputs.within("Failed to generate the ExecutionSpec")
