"""Sources of a submission: a compiled package, or a configuration to compile."""

import os
from typing import TYPE_CHECKING, Any

import yaml

from components.raster.errors import ConfigError
from pipelines.kubeflow.client.submission import Submission, parse_submission

if TYPE_CHECKING:
    from pipelines.config.tree import PipelineConfig
    from pipelines.definition.kinds import Kind

#: A key of every package and of no configuration.
_PACKAGE_KEYS = {"pipelineInfo", "pipelineSpec", "schemaVersion", "apiVersion"}


def submission_of(
    source: "str | PipelineConfig | Submission", kind: "Kind" = "training"
) -> Submission:
    """Returns the package of a path (to a configuration or a package) or of a configuration.

    Args:
        source: what to submit.
        kind: of a configuration: which of its pipelines.

    Raises:
        ConfigError: it cannot be read, compiled or submitted.
    """
    if isinstance(source, Submission):
        return source
    if not isinstance(source, str | os.PathLike):
        return _compiled(source, "the configuration", kind)
    path = os.fspath(source)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    if _is_package(text):
        return parse_submission(text, path)
    from pipelines.config.tree import load_config

    return _compiled(load_config(path), path, kind)


def _is_package(text: str) -> bool:
    try:
        first: Any = next(iter(yaml.safe_load_all(text)), None)
    except yaml.YAMLError:
        return False
    return isinstance(first, dict) and bool(_PACKAGE_KEYS & set(first))


def _compiled(config: "PipelineConfig", source: str, kind: "Kind") -> Submission:
    from pipelines.kubeflow.compile.package import compile_package

    return parse_submission(compile_package(config, kind=kind).to_yaml(), source)
