"""Settings of ingest that apply to every source."""

from typing import Protocol

from components.raster.image import ImageSpec
from components.raster.spatial.rules import SplitRule
from components.raster.split import SplitConfig


class Settings(Protocol):
    """The part of `IngestConfig` that does not concern one source, and all that families read.

    Attributes:
        image: the model's input, with its bands and bounds.
        split: fractions and salt of the splits.
        split_by: rule of the splits of rasters, or None.
        classes: configured class names, in the order of their indices, or None.
        features: decode every photograph and compute its scalar features.
        shards: configured files per split, or None.
    """

    @property
    def image(self) -> ImageSpec: ...
    @property
    def split(self) -> SplitConfig: ...
    @property
    def split_by(self) -> SplitRule | None: ...
    @property
    def classes(self) -> tuple[str, ...] | None: ...
    @property
    def features(self) -> bool: ...
    @property
    def shards(self) -> int | None: ...
