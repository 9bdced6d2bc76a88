"""Options of any raster: its bands, its values and its location."""

import datetime
from typing import ClassVar

from pydantic import Field, field_validator

from components.ingest.records.source import SourceOptions, found_by, with_one_group
from components.raster.band_names import BandName
from components.raster.frozen import PixelValue
from components.raster.payload import SAMPLE_TYPES
from components.raster.scaling import Scaling, scaling_given
from components.raster.tiles.view import COUNTING_DTYPE, ValidWhen


class RasterOptions(SourceOptions):
    """Reading options of every raster source. The bands are those of `image.bands`."""

    is_raster: ClassVar[bool] = True

    band_names: tuple[BandName, ...] = Field(
        default=(),
        description="names of each file's bands, in order, if the files do not name them",
    )
    nodata: PixelValue | None = Field(
        default=None,
        description="nodata value, instead of the files' own; .nan and the infinities are never"
        " measurements",
    )
    scale: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="scale of every band, with offset, instead of the files' own; see image.values",
    )
    offset: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="offset of every band, with scale, instead of the files' own",
    )
    valid_when: ValidWhen = Field(
        default="all", description="a pixel is valid if all bands, or if any band, were measured"
    )
    without_map: bool = Field(
        default=False, description="accept rasters without a CRS, in pixel coordinates"
    )
    dtype: str | None = Field(
        default=None,
        description="dtype of the tiles; bands of differing dtypes need a wider one. float32, "
        "the models' own type, accepts and rounds all others, such as float64 and "
        "int64",
    )
    page: int | None = Field(
        default=None,
        ge=1,
        description="page of TIFF files with several pages, from 1; without it they are "
        "refused. Overviews and masks are not pages",
    )
    group_pattern: str | None = Field(
        default=None,
        description="regular expression; items for which its first group finds the same text in"
        " a chip's key or a scene's id share a split",
    )

    date_pattern: str | None = Field(
        default=None,
        description="regular expression; its first group finds the day of the acquisition in "
        "the key or id, as 2021-07-09 or 20210709",
    )

    @field_validator("dtype")
    @classmethod
    def _is_of_payloads(cls, dtype: str | None) -> str | None:
        if dtype is not None and dtype not in SAMPLE_TYPES:
            raise ValueError(
                f"tiles are of {', '.join(SAMPLE_TYPES)}; {COUNTING_DTYPE}, in which models "
                "compute, takes values of any other type"
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
        """Scale and offset if they are set here; None leaves them to the files."""
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
