"""Registry of the families of sources.

A family is a kind of source: class folders, chips, scenes, and so on. To add one:

1. Write its configuration, a `SourceOptions` with a new `kind`, and its `Family`
   (`components.ingest.records.family`), in a new folder. A family of photographs is a subclass of
   `Photographs` that only finds its images; one of scenes, a subclass of `TiledScenes`.
2. Add the configuration to `SourceConfig` in `config.py`, and the family to `_FAMILIES` here.

No phase of ingest, and no other package, checks the kind of a source.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from components.ingest.config import IngestConfig, SourceConfig
from components.ingest.records.family import AnyFamily
from components.ingest.records.record import Listing
from components.ingest.records.survey import Survey

#: Module and class of each kind's family. Only the family in use is imported: those of rasters load
#: GDAL, which photographs do not need.
_FAMILIES: Mapping[str, tuple[str, str]] = {
    "folders": ("photographs.source", "FolderPhotographs"),
    "manifest": ("photographs.manifest", "ManifestPhotographs"),
    "masked": ("photographs.masks", "MaskedPhotographs"),
    "boxed": ("photographs.boxes", "BoxedPhotographs"),
    "custom": ("photographs.custom", "CustomPhotographs"),
    "images": ("photographs.source", "UnlabelledPhotographs"),
    "chips": ("rasters.chips.source", "Chips"),
    "scenes": ("rasters.scenes.source", "FolderScenes"),
    "stac": ("rasters.stac.source", "StacScenes"),
}


def family_of(source: SourceConfig) -> AnyFamily:
    """Returns the family of a source, by the kind of its configuration."""
    module, name = _FAMILIES[source.kind]
    family: AnyFamily = getattr(import_module(f"{__package__}.{module}"), name)(source)
    return family


def list_source(config: IngestConfig, found: Any = None) -> Listing:
    """Lists all items of the configured source, sorted by key; no image is read.

    Args:
        config: of ingest.
        found: result of the family's `find`; None calls it now.

    Raises:
        DataError: the source as a whole cannot be read, or names no image.
    """
    family = family_of(config.source)
    return family.listing(config, family.find() if found is None else found)


def survey(config: IngestConfig) -> Survey:
    """Surveys the splits of the configured source, before anything is ingested.

    It reads headers and labels, but no pixels of scenes; it reads photographs and chips to detect
    copies.

    Raises:
        DataError: the source cannot be read, or its split would leak.
        ConfigError: the split's rule cannot decide, or photographs are remote.
    """
    return family_of(config.source).survey(config)
