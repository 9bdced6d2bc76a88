"""Configuration of scenes."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from components.ingest.rasters.config import RasterOptions
from components.ingest.rasters.scenes.labels.config import Labels, Target
from components.ingest.records.source import InputPath, with_one_group
from components.raster.location import Location
from components.raster.scene.folders import Layout
from components.raster.task import Task
from components.raster.tiles.tiling import Tiling
from components.raster.tiles.view import Warp
from components.raster.truth.single_label import ClassTarget


class TiledSource(RasterOptions):
    """Scenes that are cut into tiles."""

    tiling: Tiling = Tiling()
    warp: Warp | None = Field(
        default=None, description="another grid to which to warp scenes; default: the scene's own"
    )
    area: Location | None = Field(
        default=None,
        description="area of interest as polygons (GeoJSON, GeoPackage); tiles elsewhere are "
        "left out",
    )
    area_layer: str | None = Field(default=None, description="layer of an area file with several")
    labels: Labels | None = Field(
        default=None, description="labels of the scenes; default: none, so that tiles have no truth"
    )
    target: Target = ClassTarget()

    @property
    def task(self) -> Task:
        """Task of the target."""
        return self.target.task

    @property
    def has_truth(self) -> bool:
        """The source has labels."""
        return self.labels is not None

    @property
    def for_tiles_alone(self) -> tuple[str, ...]:
        """Another grid, and an area of interest."""
        return tuple(name for name in ("warp", "area") if getattr(self, name))

    def without_truth(self) -> Self:
        """Returns only the scenes, cut into all their tiles."""
        tiling = self.tiling.model_copy(update={"overlap": "all"})
        return self.model_copy(update={"labels": None, "target": ClassTarget(), "tiling": tiling})

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the files and folders of the area of interest and of labels."""
        if self.area is not None:
            yield InputPath("area", self.area, "file")
        if self.labels is not None:
            yield self.labels.input_path

    @model_validator(mode="after")
    def _labels_tell_the_target(self) -> Self:
        if self.labels is not None:
            self.labels.require_truth_for(self.target, warped=self.warp is not None)
        return self


class ScenesSource(TiledSource):
    """Scenes in a folder, or one file."""

    kind: Literal["scenes"] = "scenes"
    uri: Location = Field(min_length=1, description="folder of scenes, or one file")
    layout: Layout = Field(
        default="file",
        description="whether each file is a scene, or each folder with one file per band",
    )
    band_pattern: str | None = Field(
        default=None,
        description="with layout: folder, a regular expression whose group finds the band in "
        "the names of one-band files, such as _(B[0-9]+)_",
    )
    suffixes: tuple[str, ...] = Field(
        default=(".tif", ".tiff", ".jp2", ".img"),
        description="suffixes of the files that are scenes",
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
