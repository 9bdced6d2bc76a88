"""Checks that the files and folders that a configuration names exist."""

import os
from collections.abc import Iterator

from components.ingest.records.source import InputPath
from components.raster.errors import ConfigError, SkymillError
from components.raster.location import is_remote, local_path
from pipelines.config.tree import PipelineConfig
from pipelines.definition.kinds import Kind
from pipelines.definition.resolve import prediction_of
from trainer.models.config import Backbone, Preset, is_folder, require_preset_folder

#: Prefix of GDAL's virtual file systems.
_VIRTUAL = "/vsi"
_FOUND = {"file": os.path.isfile, "folder": os.path.isdir, "file or folder": os.path.exists}


def require_inputs(config: PipelineConfig, kind: Kind = "training") -> None:
    """Checks that every local file and folder that a run reads exists, without opening any.

    Args:
        config: the configuration of one run; its source has no span pattern (`at_start`).
        kind: which of its pipelines.

    Raises:
        ConfigError: some are missing; the message names each by its key.
    """
    missing = [
        f"{named.key}: no {named.kind} {named.path}"
        for named in input_paths(config, kind)
        if not (_is_elsewhere(named.path) or _FOUND[named.kind](local_path(named.path)))
    ]
    missing += _preset_faults(config) if kind == "training" else []
    if missing:
        raise ConfigError(
            "the configuration names paths that do not exist:\n"
            + "\n".join(f"  {one}" for one in missing)
            + "\nCorrect the path, which is taken from the configuration's folder, or put it there."
        )


def input_paths(config: PipelineConfig, kind: Kind = "training") -> Iterator[InputPath]:
    """Yields the files and folders that a run reads, including remote ones."""
    if kind == "prediction":
        for named in prediction_of(config).source.input_paths():
            yield named._replace(key=f"prediction.source.{named.key}")
        return
    split_by, model = config.ingest.split_by, config.train.model
    for named in config.ingest.source.input_paths():
        yield named._replace(key=f"ingest.source.{named.key}")
    for path in () if split_by is None else split_by.files:
        yield InputPath("ingest.split_by.path", path, "file")
    if isinstance(model, Backbone) and model.weights not in (None, "imagenet"):
        yield InputPath("train.model.weights", str(model.weights), "file")


def _is_elsewhere(path: str) -> bool:
    return is_remote(path) or path.startswith(_VIRTUAL)


def _preset_faults(config: PipelineConfig) -> list[str]:
    model = config.train.model
    if not isinstance(model, Preset) or not is_folder(model.preset):
        return []
    try:
        require_preset_folder(model.preset)
    except SkymillError as error:
        return [f"train.{error}"]
    return []
