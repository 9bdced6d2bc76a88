"""Checks that the paths of a configuration exist in the pods that read and write them."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from components.raster.errors import ConfigError
from components.raster.location import is_remote
from components.raster.stores.opening import SCHEMES, is_object_store
from pipelines.config.beam import BEAM_NODES, workers_elsewhere
from pipelines.config.tree import PipelineConfig
from pipelines.definition.kinds import Kind
from pipelines.definition.resolve import prediction_of


def is_mounted(config: PipelineConfig, node: str, path: str, always: Sequence[str] = ()) -> bool:
    """Checks whether a path is on a volume of a node, or below a path that every pod has."""
    if is_remote(path):
        return False
    volumes = config.kubeflow.step(node).volumes or ()
    places = [os.path.normpath(place) for place in (*always, *(it.path for it in volumes))]
    path = os.path.normpath(path)
    return any(os.path.commonpath([path, place]) == place for place in places)


def require_mounts(
    config: PipelineConfig, always: Sequence[str] = (), kind: Kind = "training"
) -> None:
    """Refuses paths that would exist only in the pod that wrote them, or nowhere.

    Args:
        config: the whole configuration.
        always: paths that every pod has by default.
        kind: which of its pipelines.

    Raises:
        ConfigError: lists every path that is on no volume of a node which needs it.
    """
    needs = _needs if kind == "training" else _prediction_needs
    findings = [
        f"{what}: {path} is on no volume of {node}"
        for what, path, nodes in needs(config)
        for node in nodes
        if not is_mounted(config, node, path, always)
    ]
    if is_remote(config.push.model_dir) and not is_object_store(config.push.model_dir):
        findings.append(
            f"push.model_dir: {config.push.model_dir} is neither a path nor {' or '.join(SCHEMES)}"
        )
    if kind == "training" and workers_elsewhere(config.beam.options) and not config.beam.exchange:
        findings.append(
            "beam.exchange: is missing; Beam's workers do not see the files of a step's own pod"
        )
    if findings:
        raise ConfigError(
            "on a cluster these paths would not exist:\n  "
            + "\n  ".join(findings)
            + "\nMount a claim in kubeflow.steps.volumes, and give the paths below its mount"
        )


def _needs(config: PipelineConfig) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yields local paths, with the nodes that access them."""
    for path in _paths(config.ingest.model_dump(mode="json")):
        yield "ingest", path, ("Prepare", "Ingest")
    trains = ("Trainer", "Tuner") if config.tune else ("Trainer",)
    for path in _paths(config.train.model_dump(mode="json")):
        yield "train", path, trains
    if config.tune:
        for path in _paths({name: it.values for name, it in config.tune.space.items()}):
            yield "tune.space", path, trains
        if config.tune.workers:
            yield "tune.workers.exchange", config.tune.workers.exchange, ("Tuner",)
    if not is_remote(config.schema_.home):
        yield "schema.home", config.schema_.home, ("Prepare", "Schema")
    if not is_remote(config.push.model_dir):
        yield "push.model_dir", config.push.model_dir, ("Baseline", "Push")
    if config.beam.exchange and not is_remote(config.beam.exchange):
        yield "beam.exchange", config.beam.exchange, BEAM_NODES


def _prediction_needs(config: PipelineConfig) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yields local paths of the prediction pipeline, with the nodes that access them."""
    section, nodes = prediction_of(config), ("Prepare", "Predict")
    for path in _paths(section.source.without_truth().model_dump(mode="json")):
        yield "prediction.source", path, nodes
    model_base = section.model_base or config.model_base
    if not is_remote(model_base):
        yield "prediction.model_base", model_base, nodes
    if not is_remote(section.output):
        yield "prediction.output", section.output, ("Predict",)


def _paths(value: Any) -> Iterator[str]:
    """Yields the absolute paths among plain values; a configuration has no relative ones."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _paths(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, str) and value.startswith("/"):
        yield value
