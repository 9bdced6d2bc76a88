"""Configuration of maps: reading of scenes, blending, and outputs."""

from typing import Annotated, Literal

from pydantic import Field

from components.mapping.weights import Blend
from components.raster.band_names import BandName, BandRequest
from components.raster.frozen import Frozen, PixelValue
from components.raster.tiles.view import ResamplingName, ValidWhen
from serving.tasks.base import Form

_OVERLAP = 0.25

Scale = Annotated[float, Field(ge=0.05, le=8)]
Compression = Literal["deflate", "zstd"]
VectorFormat = Literal["parquet", "fgb", "gpkg", "geojson"]


class SceneReading(Frozen):
    """Properties of scenes that their files do not state; the model's contract has the rest."""

    bands: tuple[BandRequest, ...] = Field(
        default=(),
        description="The scene's bands in the order of the model's, if their names differ.",
    )
    band_names: tuple[BandName, ...] = Field(
        default=(), description="Names of each file's bands, in order, if the files have none."
    )
    nodata: PixelValue | None = Field(
        default=None, description="Value of pixels without data; overrides that of the files."
    )
    scale: float | None = Field(
        default=None, allow_inf_nan=False, description="Of every band; overrides that of the files."
    )
    offset: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Offset of every band, with scale, instead of the files' own.",
    )
    stored: bool = Field(
        default=False,
        description="Read the numbers as stored and ignore the files' scale and offset, for a "
        "model that was trained on stored numbers.",
    )
    page: int | None = Field(
        default=None, ge=1, description="Page of TIFF files with several pages."
    )
    valid_when: ValidWhen = "all"
    without_map: bool = Field(
        default=False,
        description="Accept rasters without a CRS, in pixel coordinates, as photographs always "
        "are.",
    )
    resample: bool = Field(
        default=False,
        description="Resample scenes whose ground sample distance differs from the model's; "
        "without it they are rejected.",
    )
    crs: str | None = Field(
        default=None, description="CRS to resample to, such as EPSG:32632; not set: the scene's."
    )
    resampling: ResamplingName = "bilinear"


class PolygonsConfig(Frozen):
    """Polygons of the areas of each class."""

    min_area_px: float = Field(
        default=0, ge=0, description="Smaller polygons are left out of the vector file."
    )
    simplify_px: float = Field(
        default=0,
        ge=0,
        description="Tolerance of the simplification; shared borders stay shared. 0: polygons "
        "follow the pixels.",
    )


class MapConfig(Frozen):
    """Settings of a map.

    >>> MapConfig(overlap=0.5).stride_px(512, "pixels")
    256
    """

    reading: SceneReading = SceneReading()
    tile_px: int | None = Field(
        default=None,
        ge=8,
        le=16384,
        description="Rows and columns of a tile; default: those of the training tiles.",
    )
    scales: tuple[Scale, ...] = Field(
        default=(1,),
        min_length=1,
        description="Detection: run on the scene at each of these scales and merge the objects "
        "found. At 0.5 a tile shows twice as many rows and columns, for objects "
        "that are too large at 1.",
    )
    overlap: float | None = Field(
        default=None,
        ge=0,
        le=0.75,
        description="Of neighbouring tiles, as a share of a tile's side; not set: a quarter, or "
        "none for models that give one answer per tile.",
    )
    blend: Blend = Field(
        default="cosine",
        description="How overlapping tiles are blended. cosine: a smooth transition; constant: "
        "the mean; crop: a hard change in the middle.",
    )
    probabilities: bool = Field(
        default=False, description="Also write the probability of every class (segmentation)."
    )
    compression: Compression = Field(
        default="deflate",
        description="Compression of rasters. zstd takes less time and space; some programs "
        "cannot read it.",
    )
    vectors: tuple[VectorFormat, ...] = Field(
        default=("parquet",), description="Formats of the polygons, cells or objects; may be empty."
    )
    polygons: PolygonsConfig = PolygonsConfig()
    mask_unknown: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Mask the answers for tiles whose percentile of unknown imagery is "
        "above this, such as 99, and write the percentiles (models of train.unknown). 100 masks "
        "nothing.",
    )
    min_score: float = Field(
        default=0.3, ge=0, le=1, description="Objects with a lower score are left out (detection)."
    )
    points: bool = Field(
        default=False, description="Write objects as points instead of boxes (detection)."
    )
    batch: int = Field(default=16, ge=1, le=1024, description="Tiles in one call of the model.")
    memory_mb: int = Field(
        default=160,
        ge=8,
        description="For decoded blocks and unfinished pixels; wider scenes are made in several "
        "columns.",
    )
    checkpoint_s: float = Field(
        default=10, ge=0, description="Most seconds of work that a killed run loses."
    )

    @property
    def masks_unknown(self) -> bool:
        """True if percentiles of unknown imagery are written, and mask the map."""
        return self.mask_unknown is not None

    def stride_px(self, size_px: int, form: Form) -> int:
        """Returns the stride of tiles of a size, for a model with answers of that form."""
        usual = 0.0 if form == "image" else _OVERLAP
        overlap = usual if self.overlap is None else self.overlap
        return max(1, size_px - round(size_px * overlap))
