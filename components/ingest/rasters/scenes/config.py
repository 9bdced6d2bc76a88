"""Configuration of scenes, their labels and the truth of their tiles."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.ingest.listing.patterns import with_one_group
from components.ingest.rasters.config import RasterOptions
from components.ingest.records.source import InputPath
from components.raster.frozen import Frozen
from components.raster.labels.boxes import BoxFile
from components.raster.labels.class_raster import ClassLegend
from components.raster.labels.targets import Rule
from components.raster.labels.vectors import VectorLabels
from components.raster.location import Location
from components.raster.scene.folders import Layout
from components.raster.task import Task
from components.raster.text import ClassName
from components.raster.tiles.tiling import Tiling
from components.raster.tiles.view import Warp

Undeclared = Literal["stop", "ignore"]


class ShapeLabels(VectorLabels):
    """Labels as polygons, boxes or points."""

    kind: Literal["shapes"] = "shapes"
    outside: Literal["reject", "ignore"] = Field(
        default="reject", description="labels that lie in none of the scenes"
    )


class BoxLabels(BoxFile):
    """Labels as boxes in pixels of the scenes' own files."""

    kind: Literal["boxes"] = "boxes"


class ClassRasterLabels(Frozen):
    """Labels as one raster of classes, on any grid."""

    kind: Literal["class_raster"] = "class_raster"
    path: Location = Field(description="The raster of classes.")
    band: int = Field(default=1, ge=1, description="Its band, from 1.")
    legend: ClassLegend
    undeclared: Undeclared = Field(
        default="stop", description="what values do that the legend lacks"
    )

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if not self.legend.values:
            raise ValueError("a class raster needs legend.values")
        return self


class MaskLabels(Frozen):
    """Labels as an image of classes for each scene, called as it."""

    kind: Literal["masks"] = "masks"
    folder: Location = Field(description="The folder of masks.")
    legend: ClassLegend
    undeclared: Undeclared = Field(
        default="stop", description="what values or colours do that the legend lacks"
    )


Labels = Annotated[
    ShapeLabels | BoxLabels | ClassRasterLabels | MaskLabels, Field(discriminator="kind")
]


class ClassTarget(Frozen):
    """One class a tile."""

    to: Literal["class"] = "class"
    rule: Literal["majority", "centre"] = Field(
        default="majority",
        description="What gives a tile its class: the largest share, or the shape at its centre.",
    )
    background: ClassName | None = Field(
        default=None, description="class of tiles that have none; null leaves them out"
    )


class ClassesTarget(Frozen):
    """Several classes a tile, or none."""

    to: Literal["classes"] = "classes"
    rule: Literal["any", "fraction"] = Field(
        default="any",
        description="Which shapes count: all that share ground, or those above min_fraction.",
    )
    min_fraction: float = Field(default=0.05, gt=0, le=1, description="for the rule fraction")


class NumberTarget(Frozen):
    """A number a tile, from shapes."""

    to: Literal["number"] = "number"
    rule: Literal["mean", "centre", "count"] = "mean"


class BoxesTarget(Frozen):
    """Objects in a tile, from shapes or boxes."""

    to: Literal["boxes"] = "boxes"
    min_visible: float = Field(default=0.25, ge=0, le=1, description="share of an object's ground")
    point_size_px: float | None = Field(default=None, gt=0, description="side of a point's box")


class MaskTarget(Frozen):
    """A class for every pixel of a tile."""

    to: Literal["mask"] = "mask"
    rule: Rule = Field(default="centre", description="which shape a pixel gets")
    min_fraction: float = Field(default=0.5, gt=0, le=1, description="for the rule fraction")
    background: ClassName | None = Field(
        default=None, description="class of ground that no shape covers; null: no truth there"
    )


#: The task of each target.
_TASKS: dict[str, Task] = {
    "class": "single_label",
    "classes": "multi_label",
    "number": "regression",
    "boxes": "detection",
    "mask": "segmentation",
}

Target = Annotated[
    ClassTarget | ClassesTarget | NumberTarget | BoxesTarget | MaskTarget,
    Field(discriminator="to"),
]


class TiledSource(RasterOptions):
    """Scenes that are cut into tiles."""

    tiling: Tiling = Tiling()
    warp: Warp | None = Field(default=None, description="another grid; not set: the scene's own")
    area: Location | None = Field(
        default=None, description="polygons (GeoJSON, GeoPackage): tiles elsewhere are left out"
    )
    area_layer: str | None = Field(default=None, description="of an area with several layers")
    labels: Labels | None = Field(default=None, description="not set: tiles without truth")
    target: Target = ClassTarget()

    @property
    def task(self) -> Task:
        """Task of the target."""
        return _TASKS[self.target.to]

    @property
    def has_truth(self) -> bool:
        """The source has labels."""
        return self.labels is not None

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the files and folders of the area of interest and of labels."""
        if self.area is not None:
            yield InputPath("area", self.area, "file")
        if isinstance(self.labels, MaskLabels):
            yield InputPath("labels.folder", self.labels.folder, "folder")
        elif self.labels is not None:
            yield InputPath("labels.path", self.labels.path, "file or folder")

    @model_validator(mode="after")
    def _labels_tell_the_target(self) -> Self:
        pixels = isinstance(self.labels, ClassRasterLabels | MaskLabels)
        if pixels and isinstance(self.target, NumberTarget | BoxesTarget):
            raise ValueError(f"target {self.target.to} needs labels of kind shapes")
        self._boxes_tell_the_target()
        reads = isinstance(self.target, NumberTarget) and self.target.rule != "count"
        if reads and isinstance(self.labels, ShapeLabels) and self.labels.number_field is None:
            raise ValueError("target number needs labels.number_field, or the rule count")
        coloured = isinstance(self.labels, MaskLabels) and self.labels.legend.colours
        if coloured and self.warp is not None:
            raise ValueError("masks of colours cannot be warped; leave warp out")
        return self

    def _boxes_tell_the_target(self) -> None:
        if not isinstance(self.labels, BoxLabels):
            return
        told = not isinstance(self.target, MaskTarget | NumberTarget)
        if not told and getattr(self.target, "rule", None) != "count":
            raise ValueError(f"target {self.target.to} needs more than labels of kind boxes tell")
        if self.warp is not None:
            raise ValueError("boxes in pixels cannot be warped; leave warp out")


class ScenesSource(TiledSource):
    """Scenes in a folder, or one file."""

    kind: Literal["scenes"] = "scenes"
    uri: Location = Field(min_length=1, description="a folder of scenes, or one file")
    layout: Layout = Field(
        default="file", description="each file is a scene, or each folder with a file for a band"
    )
    band_pattern: str | None = Field(
        default=None,
        description="a regular expression whose group finds the band in the names of files of a "
        "band each, as _(B[0-9]+)_; with layout: folder",
    )
    suffixes: tuple[str, ...] = Field(
        default=(".tif", ".tiff", ".jp2", ".img"), description="of the files that are scenes"
    )

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the folder or file, then those of the area and of labels."""
        yield InputPath("uri", self.uri, "file or folder")
        yield from super().input_paths()

    @field_validator("band_pattern")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        return with_one_group(pattern)

    @model_validator(mode="after")
    def _patterns_are_of_folders(self) -> Self:
        if self.band_pattern is not None and self.layout != "folder":
            raise ValueError("band_pattern is for layout: folder, where each file holds a band")
        return self
