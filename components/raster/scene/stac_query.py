"""Query of a STAC source; imports no STAC library."""

import datetime
from typing import Self

from pydantic import Field, field_validator, model_validator

from components.raster.frozen import Frozen
from components.raster.location import Location

#: West, south, east, north in degrees.
Bounds = tuple[float, float, float, float]


class StacQuery(Frozen):
    """Selection of the items of a STAC source that become scenes."""

    source: Location = Field(description="STAC API, catalogue, collection, or file of items")
    collections: tuple[str, ...] = Field(
        default=(), description="Collections to search. Default: every collection."
    )
    assets: tuple[str, ...] = Field(default=(), description="keys of assets, in order")
    bands: tuple[str, ...] = Field(
        default=(), description="common names of bands, in order; instead of assets"
    )
    bbox: Bounds | None = Field(
        default=None,
        description="west, south, east, north in degrees; west > east crosses the date line",
    )
    start: datetime.date | None = Field(default=None, description="first day")
    end: datetime.date | None = Field(default=None, description="last day, included")
    max_cloud_cover_percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="largest cloud cover; items that do not state theirs are left out",
    )
    max_items: int = Field(
        default=1000,
        ge=1,
        description="Largest number of items; later ones are left out, which the summary shows "
        "as `(beyond_max_items)`.",
    )

    @field_validator("bbox")
    @classmethod
    def _is_on_earth(cls, bbox: Bounds | None) -> Bounds | None:
        if bbox is None:
            return None
        west, south, east, north = bbox
        if not (-180 <= west <= 180 and -180 <= east <= 180 and south >= -90 and north <= 90):
            raise ValueError(
                "needs degrees: west and east from -180 to 180, south and north from -90 to 90"
            )
        if south > north:
            raise ValueError(f"south, {south:g}, is greater than north, {north:g}; swap them")
        return bbox

    @model_validator(mode="after")
    def _is_one_choice(self) -> Self:
        if self.assets and self.bands:
            raise ValueError("choose assets by key or bands by common name, not both")
        if self.start and self.end and self.start > self.end:
            raise ValueError("start must not be later than end")
        return self
