"""Configuration of ingest: its sources, declared beside the code."""

import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from components.ingest.manifest_config import ManifestColumns
from components.ingest.raster_config import (
    ChipsSource,
    RasterOptions,
    ScenesSource,
    StacSource,
    found_by,
    with_one_group,
)
from components.ingest.span import require_sound
from components.raster.errors import ConfigError
from components.raster.frozen import Frozen
from components.raster.image import ImageSpec
from components.raster.labels.boxes import BoxFile
from components.raster.labels.class_raster import ClassLegend
from components.raster.location import Location
from components.raster.spatial.rules import SplitRule
from components.raster.split import SplitConfig
from components.raster.task import Task
from components.raster.text import ClassName, Encoding


class FoldersSource(Frozen):
    """Class folders: `<uri>/<class>/**` holds the images of a class."""

    kind: Literal["folders"] = "folders"
    uri: Location = Field(min_length=1, description="path or uri of the folder of class folders")

    @property
    def task(self) -> Task:
        """A folder is one class."""
        return "single_label"


class MaskLegend(Frozen):
    """What the pixels of masks mean."""

    legend: ClassLegend | None = Field(
        default=None, description="of masks: what their values or colours mean"
    )
    undeclared: Literal["reject", "ignore"] = Field(
        default="reject",
        description="what becomes of an image whose mask holds values or colours that the legend "
        "lacks: a reject, or these pixels have no truth",
    )

    @property
    def legend_classes(self) -> tuple[str, ...]:
        """Classes that the legend names; empty without one."""
        return () if self.legend is None else self.legend.class_names


class ManifestSource(MaskLegend):
    """A table with a row an image: CSV with a header, JSON Lines, or Parquet, by its suffix."""

    kind: Literal["manifest"] = "manifest"
    uri: Location = Field(min_length=1, description="path or uri of a .csv, .jsonl or .parquet")
    columns: ManifestColumns = ManifestColumns()
    encoding: Encoding | None = Field(
        default=None,
        description="of a .csv or .jsonl, such as cp1252; not set: UTF-8, or as its first bytes "
        "mark",
    )

    @model_validator(mode="after")
    def _masks_have_a_legend(self) -> Self:
        if (self.columns.mask is None) != (self.legend is None):
            raise ValueError("columns.mask and legend go together: give both, or neither")
        return self

    @property
    def task(self) -> Task:
        """Task that the columns describe."""
        return self.columns.task


class GroupedPhotographs(Frozen):
    """Which photographs of a folder belong together."""

    group_pattern: Annotated[str | None, AfterValidator(with_one_group)] = Field(
        default=None,
        description="a regular expression; what its first group finds in an image's path must "
        "share one split",
    )

    def group_of(self, key: str) -> str | None:
        """Returns the group of an image, by its path."""
        return found_by(self.group_pattern, key)


class MaskedSource(GroupedPhotographs, MaskLegend):
    """Photographs in one folder, and in another an image of classes for each, called as it."""

    kind: Literal["masked"] = "masked"
    uri: Location = Field(min_length=1, description="path or uri of the folder of images")
    masks: Location = Field(
        min_length=1,
        description="path or uri of the folder of masks: called as the images, suffix aside",
    )

    @model_validator(mode="after")
    def _has_a_legend(self) -> Self:
        if self.legend is None:
            raise ValueError("masks need a legend: what their values or colours mean")
        return self

    @property
    def task(self) -> Task:
        """Segmentation: a mask is a class for each pixel."""
        return "segmentation"


class BoxedSource(GroupedPhotographs):
    """Photographs in one folder, and boxes in their pixels in a file."""

    kind: Literal["boxed"] = "boxed"
    uri: Location = Field(min_length=1, description="path or uri of the folder of images")
    boxes: BoxFile

    @property
    def task(self) -> Task:
        """Detection: boxes are objects."""
        return "detection"


# Other kinds of source join here and in `listing.py`; all later steps are the same for all.
SourceConfig = Annotated[
    FoldersSource
    | ManifestSource
    | MaskedSource
    | BoxedSource
    | ChipsSource
    | ScenesSource
    | StacSource,
    Field(discriminator="kind"),
]


class IngestConfig(Frozen):
    """From a source to examples and rejects."""

    source: SourceConfig
    span: Annotated[int, Field(ge=0)] | datetime.date | None = Field(
        default=None,
        description="which span to read where the source's place has a pattern, {SPAN} or "
        "{YYYY}-{MM}-{DD}: a number or a day; default: the newest",
    )
    image: ImageSpec = ImageSpec()
    split: SplitConfig = SplitConfig()
    split_by: SplitRule | None = Field(
        default=None,
        description="what decides the split of rasters: block, scene, group, date, area or tile; "
        "default: the group where there is one, else each tile, if none touch",
    )
    classes: tuple[ClassName, ...] | None = Field(
        default=None,
        min_length=1,
        description="the classes, in the order of their indices; default: those seen, sorted",
    )
    features: bool = Field(
        default=True,
        description="decode every image and compute its scalar features; without them plain files "
        "are checked by their structure alone",
    )
    max_reject_fraction: float = Field(
        default=0.05, ge=0, le=1, description="above it the run stops; 1 never stops"
    )
    shards: int | None = Field(
        default=None, ge=1, le=10_000, description="files a split; default: by the number of images"
    )

    @property
    def task(self) -> Task:
        """Task of the examples, decided by the source's truth."""
        return self.source.task

    @model_validator(mode="after")
    def _classes_differ(self) -> Self:
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes names a class twice: {', '.join(self.classes)}")
        return self

    @model_validator(mode="after")
    def _stratification_knows_classes(self) -> Self:
        source = self.source
        columns = source.columns if isinstance(source, ManifestSource) else None
        named = columns is not None and (columns.label or columns.labels)
        if self.split.stratify and not (isinstance(source, FoldersSource) or named):
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
        rasters = isinstance(self.source, RasterOptions)
        if rasters and not self.image.bands:
            raise ValueError(
                f"image.bands must name the bands that the model sees, for {self.source.kind}"
            )
        if not rasters and self.image.bands:
            raise ValueError(f"image.bands is for rasters; {self.source.kind} are photographs")
        if not rasters and self.split_by is not None:
            raise ValueError(f"split_by needs a place; {self.source.kind} are photographs")
        return self
