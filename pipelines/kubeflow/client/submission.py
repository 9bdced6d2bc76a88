"""Packages to submit: reads them, checks them against Kubeflow's protobufs, types parameters.

The checks explain in detail what a server would refuse in few words. Nothing here needs TFX, so
that a compiled package can be submitted from anywhere.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from components.raster.errors import ConfigError
from pipelines.kubeflow.contract.package_format import SCHEMA_VERSION, Json

Value = str | int | float | bool

#: The account of `k8s/pipeline`, which may do what a step needs and nothing else.
SERVICE_ACCOUNT = "skymill-steps"

_KINDS: Mapping[str, type] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
}


@dataclass(frozen=True)
class Submission:
    """A valid package.

    Attributes:
        text: its YAML, one or two documents.
        spec: the PipelineSpec (protojson).
        source: the place it was read from, for messages.
    """

    text: str
    spec: Json
    source: str = "the package"

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def version(self) -> str:
        """Name of the version, derived from the content, so that equal content is one version."""
        return f"sha256-{hashlib.sha256(self.text.encode()).hexdigest()[:16]}"

    def parameters(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """Converts a run's parameters to the types that the package declares.

        Raises:
            ConfigError: a parameter is unknown, a value does not fit, or one without a default is
                missing.
        """
        known: Json = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(known))}."
                raise ConfigError(f"{self.source}: the pipeline has no parameter {name}. {hint}")
        for name, one in known.items():
            if name not in given and "defaultValue" not in one and not one.get("isOptional"):
                raise ConfigError(
                    f"{self.source}: the parameter {name} has no default: --set {name}=VALUE"
                )
        return {name: _typed(name, value, known[name]) for name, value in given.items()}


def read_submission(path: str) -> Submission:
    """Reads and checks the package in a file.

    Raises:
        ConfigError: it cannot be read, or a server would refuse it; the message gives the reason.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return parse_submission(file.read(), path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Write one with: skymill compile -o {path}"
        ) from error


def parse_submission(text: str, source: str = "the package") -> Submission:
    """Checks a package's text, as `read_submission` does with a file's."""
    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: is not valid YAML: {error}") from error
    if not documents or not all(isinstance(one, dict) for one in documents):
        raise ConfigError(f"{source}: holds no pipeline")
    spec, *platform = documents
    _check_spec(spec, source)
    _check_protobufs(spec, platform, source)
    return Submission(text, spec, source)


def _check_spec(spec: Json, source: str) -> None:
    """Applies our own rules, before the check against the protobufs."""
    if "pipelineSpec" in spec:
        raise ConfigError(
            f"{source}: is a job for Vertex AI (it has pipelineSpec). Compile without --vertex"
        )
    if spec.get("apiVersion", "").startswith("argoproj.io"):
        raise ConfigError(f"{source}: is an Argo workflow, not a pipeline of Kubeflow 2.x")
    version = spec.get("schemaVersion")
    if version != SCHEMA_VERSION:
        raise ConfigError(f"{source}: Kubeflow takes schema {SCHEMA_VERSION}, not {version}")
    if not spec.get("pipelineInfo", {}).get("name") or "root" not in spec:
        raise ConfigError(f"{source}: has no name or no root: it is not a pipeline")
    for label, executor in spec.get("deploymentSpec", {}).get("executors", {}).items():
        if not {"container", "importer"} & set(executor):
            raise ConfigError(
                f"{source}: {label}: Kubeflow runs containers only, not a {', '.join(executor)}"
            )
    for place in _outdated(spec):
        raise ConfigError(
            f"{source}: {place} is of an older schema, which Kubeflow does not read. Compile "
            "it again with: skymill compile"
        )


def _outdated(tree: Any, path: str = "") -> Iterator[str]:
    """Yields the places that the protobufs accept and the backend does not honour."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            place = f"{path}.{name}".lstrip(".")
            if name == "constantValue":
                yield place
            if name == "parameters" and isinstance(value, dict):
                old = (key for key, one in value.items() if isinstance(one, dict) and "type" in one)
                yield from (f"{place}.{key}.type" for key in old)
            yield from _outdated(value, place)


def _check_protobufs(spec: Json, platform: list[Json], source: str) -> None:
    from pipelines.kubeflow.contract.strict import strict_platform, strict_spec

    try:
        strict_spec(spec)
        for document in platform:
            strict_platform(document)
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{source}: {error}. Compile it again with: skymill compile") from error


def _typed(name: str, value: Value, spec: Json) -> Value:
    kind = spec.get("parameterType", "")
    wanted = _KINDS.get(kind)
    if wanted is None:
        return _json(name, value, kind)
    if wanted is str:
        return value if isinstance(value, str) else json.dumps(value)
    try:
        if wanted is bool:
            return {"true": True, "false": False}[str(value).lower()]
        return float(str(value)) if wanted is float else int(str(value))
    except (ValueError, KeyError) as error:
        right = {int: "a whole number", float: "a number", bool: "true or false"}[wanted]
        raise ConfigError(f"the parameter {name} is {value!r}: it has to be {right}") from error


def _json(name: str, value: Value, kind: str) -> Any:
    """Parses a list or struct given as JSON text; returns other values unchanged."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ConfigError(f"the parameter {name} is {value!r}: {kind} is given as JSON") from error
