"""Configuration of ingest: its sources, declared beside the code."""

import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from components.ingest.files.spans import require_sound
from components.ingest.photographs.config import (
    BoxedSource,
    CustomSource,
    FoldersSource,
    ImagesSource,
    ManifestSource,
    MaskedSource,
)
from components.ingest.rasters.chips.config import ChipsSource
from components.ingest.rasters.scenes.config import ScenesSource
from components.ingest.rasters.stac.config import StacSource
from components.raster.errors import ConfigError
from components.raster.frozen import Frozen
from components.raster.image import ImageSpec
from components.raster.spatial.rules import SplitRule
from components.raster.split import SplitConfig
from components.raster.task import Task
from components.raster.text import ClassName

#: Configuration of any source; `sources.py` has the family of each kind.
SourceConfig = Annotated[
    FoldersSource
    | ManifestSource
    | MaskedSource
    | BoxedSource
    | CustomSource
    | ImagesSource
    | ChipsSource
    | ScenesSource
    | StacSource,
    Field(discriminator="kind"),
]


class IngestConfig(Frozen):
    """Conversion of a source to examples and rejects."""

    source: SourceConfig = Field(description="Where images come from; the kind says in which form.")
    span: Annotated[int, Field(ge=0)] | datetime.date | None = Field(
        default=None,
        description="span to read if the source's path has a pattern, {SPAN} or "
        "{YYYY}-{MM}-{DD}: a number or a day; default: the newest",
    )
    image: ImageSpec = ImageSpec()
    split: SplitConfig = SplitConfig()
    split_by: SplitRule | None = Field(
        default=None,
        description="what determines the split of rasters: block, scene, group, date, area or "
        "tile; default: the group if there is one, otherwise each tile, if none "
        "touch",
    )
    classes: tuple[ClassName, ...] | None = Field(
        default=None,
        min_length=1,
        description="classes, in the order of their indices; default: those in the data, sorted",
    )
    features: bool = Field(
        default=True,
        description="decode every image and compute its scalar features; without this, plain "
        "files are validated only by their structure",
    )
    max_reject_fraction: float = Field(
        default=0.05, ge=0, le=1, description="share of rejects above which the run stops; 1: never"
    )
    shards: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="number of files per split; default: by the number of images",
    )

    @property
    def task(self) -> Task:
        """Task of the examples, decided by the source's truth."""
        return self.source.task

    @property
    def split_words(self) -> str:
        """The rule that assigns examples to splits, in words."""
        if self.split_by is not None:
            return self.split_by.words
        return (
            "as the source states it, else by its groups, else at random by "
            f"{'tile' if self.source.is_raster else 'content'}"
        )

    @model_validator(mode="after")
    def _classes_differ(self) -> Self:
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes names a class twice: {', '.join(self.classes)}")
        return self

    @model_validator(mode="after")
    def _stratification_knows_classes(self) -> Self:
        if self.split.stratify and not self.source.names_classes:
            raise ValueError(
                "split.stratify needs a source that names the classes of each photograph: class "
                "folders, or a manifest with label or labels; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _spans_are_named(self) -> Self:
        try:
            require_sound(self.source.uri)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _bands_are_of_rasters(self) -> Self:
        rasters = self.source.is_raster
        if rasters and not self.image.bands:
            raise ValueError(
                f"image.bands must name the bands that the model sees, for {self.source.kind}"
            )
        if not rasters and self.image.bands:
            raise ValueError(f"image.bands is for rasters; {self.source.kind} are photographs")
        if not rasters and self.split_by is not None:
            raise ValueError(f"split_by needs a place; {self.source.kind} are photographs")
        return self
