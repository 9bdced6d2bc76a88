"""Configuration of raster sources: chips, scenes and STAC items, with their labels."""

import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.ingest.listing.config import ManifestColumns
from components.ingest.listing.patterns import found_by, with_one_group
from components.raster.band_names import BandName
from components.raster.frozen import Frozen, PixelValue
from components.raster.labels.boxes import BoxFile
from components.raster.labels.class_raster import ClassLegend
from components.raster.labels.targets import Rule
from components.raster.labels.vectors import VectorLabels
from components.raster.location import Location
from components.raster.payload import SAMPLE_TYPES
from components.raster.scaling import Scaling, scaling_given
from components.raster.scene.folders import Layout
from components.raster.scene.stac_query import StacQuery
from components.raster.task import Task
from components.raster.text import ClassName, Encoding
from components.raster.tiles.tiling import Tiling
from components.raster.tiles.view import COUNTING_DTYPE, ValidWhen, Warp

Undeclared = Literal["stop", "ignore"]


class RasterOptions(Frozen):
    """How any raster is read. The bands are those of `image.bands`."""

    band_names: tuple[BandName, ...] = Field(
        default=(), description="of each file, in order, where the files do not name their bands"
    )
    nodata: PixelValue | None = Field(
        default=None,
        description="stands for no measurement, whatever the files say; .nan and the infinities "
        "are no measurement anyway",
    )
    scale: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="of every band, with offset, whatever the files say; see image.values",
    )
    offset: float | None = Field(default=None, allow_inf_nan=False, description="as scale")
    valid_when: ValidWhen = Field(
        default="all", description="a pixel is valid when all bands, or any band, were measured"
    )
    without_map: bool = Field(
        default=False, description="take rasters without a CRS, in pixel coordinates"
    )
    dtype: str | None = Field(
        default=None,
        description="of the tiles; bands of differing dtypes need a wider one. float32, in which "
        "models count, takes and rounds any, such as float64 and int64",
    )
    page: int | None = Field(
        default=None,
        ge=1,
        description="which page of TIFF files that have several, from 1; without it they are "
        "refused. Overviews and masks are no pages",
    )
    group_pattern: str | None = Field(
        default=None,
        description="a regular expression; what its first group finds in a chip's key or a "
        "scene's id must share one split",
    )

    date_pattern: str | None = Field(
        default=None,
        description="a regular expression; its first group finds the day of the acquisition there, "
        "as 2021-07-09 or 20210709",
    )

    @field_validator("dtype")
    @classmethod
    def _is_of_payloads(cls, dtype: str | None) -> str | None:
        if dtype is not None and dtype not in SAMPLE_TYPES:
            raise ValueError(
                f"tiles are of {', '.join(SAMPLE_TYPES)}; models count in {COUNTING_DTYPE}, which "
                "takes values of any other type"
            )
        return dtype

    @field_validator("group_pattern", "date_pattern")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        return with_one_group(pattern)

    @field_validator("scale")
    @classmethod
    def _is_not_zero(cls, scale: float | None) -> float | None:
        if scale == 0:
            raise ValueError("a scale of 0 would make every value the same")
        return scale

    @property
    def scaling(self) -> Scaling | None:
        """Scale and offset where they are set here; None leaves them to the files."""
        return scaling_given(self.scale, self.offset)

    def group_of(self, name: str) -> str | None:
        """Returns the group of a chip or scene, by its key or id."""
        return found_by(self.group_pattern, name)

    def date_of(self, name: str) -> str | None:
        """Returns the day of a chip or scene, ISO 8601, by its key or id; None if unknown."""
        try:
            day = datetime.date.fromisoformat(found_by(self.date_pattern, name) or "")
        except ValueError:
            return None
        return day.isoformat()


class ChipsSource(RasterOptions):
    """Rasters that are the tiles: in class folders, or named by a manifest."""

    kind: Literal["chips"] = "chips"
    uri: Location = Field(
        min_length=1, description="folder of class folders, or a .csv, .jsonl or .parquet"
    )
    columns: ManifestColumns = Field(default=ManifestColumns(), description="of a manifest")
    encoding: Encoding | None = Field(default=None, description="of a manifest: see there")
    min_valid_fraction: float = Field(
        default=0.0, ge=0, le=1, description="chips with fewer valid pixels are rejected"
    )

    @model_validator(mode="after")
    def _has_no_masks(self) -> Self:
        if self.columns.mask is not None:
            raise ValueError("columns.mask is for photographs; masks of rasters go with scenes")
        return self

    @property
    def task(self) -> Task:
        """Classification in class folders; for a manifest the task of its columns."""
        return self.columns.task


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
    path: Location
    band: int = Field(default=1, ge=1)
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
    folder: Location
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
    rule: Literal["majority", "centre"] = "majority"
    background: ClassName | None = Field(
        default=None, description="class of tiles that have none; null leaves them out"
    )


class ClassesTarget(Frozen):
    """Several classes a tile, or none."""

    to: Literal["classes"] = "classes"
    rule: Literal["any", "fraction"] = "any"
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

    @field_validator("band_pattern")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        return with_one_group(pattern)

    @model_validator(mode="after")
    def _patterns_are_of_folders(self) -> Self:
        if self.band_pattern is not None and self.layout != "folder":
            raise ValueError("band_pattern is for layout: folder, where each file holds a band")
        return self


class StacSource(TiledSource):
    """Scenes that a STAC item collection, catalogue or API names."""

    kind: Literal["stac"] = "stac"
    query: StacQuery

    @property
    def uri(self) -> str:
        """Address of the items."""
        return self.query.source


#: Any source of scenes.
AnyScenes = ScenesSource | StacSource
