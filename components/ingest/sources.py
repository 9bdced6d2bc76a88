"""Registry of the families of sources.

A family is a kind of source: class folders, chips, scenes, and so on. To add one:

1. Write its configuration, a `SourceOptions` with a `kind` of its own, and its `Family`
   (`components.ingest.records.family`), both in a room of their own. A family of photographs is a
   subclass of `Photographs` that only finds its images; one of scenes a subclass of `TiledScenes`.
2. Add the configuration to `SourceConfig` in `config.py`, and the family to `_FAMILIES` here.

No phase of ingest, and no other package, asks for the kind of a source.
"""

from collections.abc import Callable, Mapping
from typing import Any

from components.ingest.config import IngestConfig, SourceConfig
from components.ingest.photographs.boxes import BoxedPhotographs
from components.ingest.photographs.custom import CustomPhotographs
from components.ingest.photographs.manifest import ManifestPhotographs
from components.ingest.photographs.masks import MaskedPhotographs
from components.ingest.photographs.source import FolderPhotographs, UnlabelledPhotographs
from components.ingest.rasters.chips.source import Chips
from components.ingest.rasters.scenes.source import FolderScenes
from components.ingest.rasters.stac.source import StacScenes
from components.ingest.records.family import AnyFamily
from components.ingest.records.record import Listing

_FAMILIES: Mapping[str, Callable[[Any], AnyFamily]] = {
    "folders": FolderPhotographs,
    "manifest": ManifestPhotographs,
    "masked": MaskedPhotographs,
    "boxed": BoxedPhotographs,
    "custom": CustomPhotographs,
    "images": UnlabelledPhotographs,
    "chips": Chips,
    "scenes": FolderScenes,
    "stac": StacScenes,
}


def family_of(source: SourceConfig) -> AnyFamily:
    """Returns the family of a source, by the kind of its configuration."""
    return _FAMILIES[source.kind](source)


def list_source(config: IngestConfig, found: Any = None) -> Listing:
    """Lists everything that the configured source names, sorted by key; no image is read.

    Args:
        config: of ingest.
        found: what the source's family finds; None looks now.

    Raises:
        DataError: the source as a whole cannot be read, or names no image.
    """
    family = family_of(config.source)
    return family.listing(config, family.find() if found is None else found)
