"""Checks that the files and folders that a configuration names exist."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from components.ingest.config import SourceConfig
from components.ingest.photographs.config import BoxedSource, ManifestSource, MaskedSource
from components.ingest.rasters.config import MaskLabels, RasterOptions, StacSource, TiledSource
from components.raster.errors import ConfigError, SkymillError
from components.raster.location import is_remote, local_path
from components.raster.spatial.rules import ByArea
from pipelines.config.tree import PipelineConfig
from trainer.models.config import Backbone, Preset, is_folder, require_preset_folder

#: Prefix of GDAL's virtual file systems.
_VIRTUAL = "/vsi"
_FOUND = {"file": os.path.isfile, "folder": os.path.isdir, "file or folder": os.path.exists}


@dataclass(frozen=True)
class Place:
    """A path that a run reads, with the configuration key that names it."""

    key: str
    path: str
    kind: Literal["file", "folder", "file or folder"]


def require_present(config: PipelineConfig) -> None:
    """Checks that every local file and folder that a run reads exists, without opening any.

    Args:
        config: the configuration of one run; its source has no span pattern (`at_span`).

    Raises:
        ConfigError: some are missing; the message names each by its key.
    """
    missing = [
        f"{place.key}: no {place.kind} {place.path}"
        for place in read_places(config)
        if not (_is_elsewhere(place.path) or _FOUND[place.kind](local_path(place.path)))
    ]
    missing += _preset_faults(config)
    if missing:
        raise ConfigError(
            "the configuration names what is not there:\n"
            + "\n".join(f"  {one}" for one in missing)
            + "\nCorrect the path, which is taken from the configuration's folder, or put it there."
        )


def read_places(config: PipelineConfig) -> Iterator[Place]:
    """Yields the files and folders that a run reads, including remote ones."""
    source, split_by, model = config.ingest.source, config.ingest.split_by, config.train.model
    yield _of_source(source)
    if isinstance(source, MaskedSource):
        yield Place("ingest.source.masks", source.masks, "folder")
    if isinstance(source, BoxedSource):
        yield Place("ingest.source.boxes.path", source.boxes.path, "file or folder")
    if isinstance(source, TiledSource):
        yield from _of_tiles(source)
    if isinstance(split_by, ByArea):
        yield Place("ingest.split_by.path", split_by.path, "file")
    if isinstance(model, Backbone) and model.weights not in (None, "imagenet"):
        yield Place("train.model.weights", str(model.weights), "file")


def _of_source(source: SourceConfig) -> Place:
    if isinstance(source, StacSource):
        return Place("ingest.source.query.source", source.uri, "file or folder")
    if isinstance(source, RasterOptions):
        return Place("ingest.source.uri", source.uri, "file or folder")
    kind: Literal["file", "folder"] = "file" if isinstance(source, ManifestSource) else "folder"
    return Place("ingest.source.uri", source.uri, kind)


def _of_tiles(source: TiledSource) -> Iterator[Place]:
    if source.area is not None:
        yield Place("ingest.source.area", source.area, "file")
    if isinstance(source.labels, MaskLabels):
        yield Place("ingest.source.labels.folder", source.labels.folder, "folder")
    elif source.labels is not None:
        yield Place("ingest.source.labels.path", source.labels.path, "file or folder")


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
