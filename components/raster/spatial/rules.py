"""Assignment of tiles to splits by the configured rule, each tile independently.

No rule looks at other tiles, so a tile stays in its split when scenes are added. Tiles that a rule
cannot assign to one split are left out, with a reason.
"""

import datetime
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import shapely
from pydantic import Field, model_validator

from components.raster.errors import ConfigError, DataError
from components.raster.frozen import Frozen
from components.raster.labels.vectors import LabelSet
from components.raster.library_errors import translated
from components.raster.location import Location
from components.raster.reasons import Reason
from components.raster.scene.date_line import turned_to
from components.raster.scene.grid import LONLAT, Floats, crs_name, reproject
from components.raster.spatial.blocks import Block, block_name, blocks_of, blocks_under, extents
from components.raster.spatial.places import TileFootprints
from components.raster.split import SplitConfig, drawn_split, split_named


class LeftOut(StrEnum):
    """Reasons why a tile is in no split."""

    AT_BORDER = "at_border"
    NO_PLACE = "no_place"
    NO_DATE = "no_date"
    NO_GROUP = "no_group"
    OUTSIDE_AREAS = "outside_areas"
    OVERLAPS = "overlaps"
    NO_TRUTH = "no_truth"


#: Side of a block of ground in metres.
_Side = Annotated[float, Field(ge=10, le=2_000_000)]
#: Side of the blocks of ground that count as independent if the rule itself draws none.
_UNIT_M = 10_000.0


class _Rule(Frozen):
    @property
    def files(self) -> tuple[str, ...]:
        """Files whose content decides the splits."""
        return ()


class ByBlock(_Rule):
    """Splits by blocks of ground, assigned only by their location."""

    by: Literal["block"] = "block"
    block_m: _Side = Field(description="side of a block in metres")
    buffer_m: float | None = Field(
        default=0.0,
        ge=0,
        description="Tiles nearer than this to a block of another split are left out; at 0, "
        "only those on the border. null keeps every tile, in the split of its "
        "centre; tiles of two splits may then share ground.",
    )

    @property
    def words(self) -> str:
        """The rule in words."""
        margin = (
            "neighbours may share ground" if self.buffer_m is None else f"{self.buffer_m:g} m apart"
        )
        return f"by blocks of ground of {self.block_m:g} m, {margin}"


class ByScene(_Rule):
    """Splits by scene: all tiles of a scene are in one split."""

    by: Literal["scene"] = "scene"
    words: ClassVar[str] = "by scene: all tiles of a scene are in one split"


class ByGroup(_Rule):
    """Splits by group: all tiles of a group are in one split. The source defines a tile's group."""

    by: Literal["group"] = "group"
    words: ClassVar[str] = "by group: all tiles of a group are in one split"


class ByDate(_Rule):
    """Splits by date: earlier data to train on, later data to evaluate and test."""

    by: Literal["date"] = "date"
    eval_from: datetime.date = Field(description="First day of eval; earlier days are train.")
    test_from: datetime.date = Field(description="First day of test.")
    block_m: _Side = Field(
        default=_UNIT_M,
        description="For chips: side in metres of the blocks of ground that intervals take as "
        "independent. The tiles of a scene count together.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.eval_from > self.test_from:
            raise ValueError("eval_from must not be later than test_from")
        return self

    @property
    def words(self) -> str:
        """The rule in words."""
        return f"by date: eval from {self.eval_from}, test from {self.test_from}"


class ByArea(_Rule):
    """Splits by drawn areas; a tile belongs to a split if it lies wholly in that split's areas."""

    by: Literal["area"] = "area"
    words: ClassVar[str] = "by areas that were drawn"
    path: Location = Field(description="polygons (GeoJSON, GeoPackage) with a field for the split")
    layer: str | None = Field(default=None, description="layer of a file with several")
    field: str = Field(default="split", description="field that holds train, eval or test")
    block_m: _Side = Field(
        default=_UNIT_M,
        description="Side in metres of the blocks of ground that intervals take as independent.",
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The file of areas."""
        return (self.path,)


class ByTile(_Rule):
    """Splits each tile independently, at random but permanently. Neighbouring tiles leak into each
    other.
    """

    by: Literal["tile"] = "tile"
    words: ClassVar[str] = "tile by tile, at random: neighbours may be in different splits"
    insist: bool = Field(
        default=False, description="accept that tiles of two splits share or touch ground"
    )


SplitRule = Annotated[
    ByBlock | ByScene | ByGroup | ByDate | ByArea | ByTile, Field(discriminator="by")
]


@dataclass(frozen=True)
class Assignment:
    """The split of every tile, or the reason for its absence."""

    splits: tuple[str | None, ...]
    reasons: tuple[LeftOut | None, ...]

    @property
    def left_out(self) -> dict[LeftOut, int]:
        """Counts the tiles in no split, by reason."""
        return dict(Counter(reason for reason in self.reasons if reason is not None))


def assign(
    places: TileFootprints, rule: SplitRule, shares: SplitConfig, *, areas: LabelSet | None = None
) -> Assignment:
    """Assigns every tile to a split.

    Args:
        places: the tiles.
        rule: of the assignment.
        shares: fractions and salt of random draws; `date` and `area` do not draw.
        areas: for the rule `area`, read by `labels.vectors.read_labels` with the split's field as
            `class_field`.

    Raises:
        ConfigError: the rule leaves out every tile, or lacks its areas.
        DataError: an area's split is not a valid name.

    >>> from components.raster.spatial.places import TileFootprints
    >>> from components.raster.tiles.key import TileKey
    >>> keys = tuple(TileKey.parse(f"north@0,{col},64x64") for col in (0, 64))
    >>> nowhere = np.full((2, 2), np.nan), np.full((2, 4, 2), np.nan)
    >>> days = TileFootprints(keys, *nowhere, ("2026-05-01", "2026-07-01"), (None, None))
    >>> assign(days, ByDate(eval_from="2026-06-01", test_from="2026-07-01"), SplitConfig()).splits
    ('train', 'test')
    """
    if isinstance(rule, ByBlock):
        found = _by_block(places, rule, shares)
    elif isinstance(rule, ByArea):
        found = _by_area(places, areas)
    else:
        found = [_on_its_own(places, index, rule, shares) for index in range(len(places))]
    if len(places) and all(isinstance(one, LeftOut) for one in found):
        reasons = ", ".join(sorted({str(one) for one in found}))
        raise ConfigError(
            f"The split by {rule.by} leaves out every tile ({reasons}). "
            "Choose another rule, or larger blocks."
        )
    return Assignment(
        tuple(None if isinstance(one, LeftOut) else one for one in found),
        tuple(one if isinstance(one, LeftOut) else None for one in found),
    )


def _on_its_own(
    places: TileFootprints,
    index: int,
    rule: ByScene | ByGroup | ByDate | ByTile,
    shares: SplitConfig,
) -> str | LeftOut:
    key, group, date = places.keys[index], places.groups[index], places.acquired[index]
    if isinstance(rule, ByScene):
        return drawn_split("scene", key.scene_id, shares)
    if isinstance(rule, ByTile):
        return drawn_split("tile", str(key), shares)
    if isinstance(rule, ByGroup):
        return LeftOut.NO_GROUP if group is None else drawn_split("group", group, shares)
    try:
        day = datetime.date.fromisoformat((date or "")[:10])
    except ValueError:
        return LeftOut.NO_DATE
    if day < rule.eval_from:
        return "train"
    return "eval" if day < rule.test_from else "test"


def _by_block(places: TileFootprints, rule: ByBlock, shares: SplitConfig) -> list[str | LeftOut]:
    split_of_block = _block_splits(rule.block_m, shares)
    found: list[str | LeftOut] = [LeftOut.NO_PLACE] * len(places)
    known = np.flatnonzero(np.isfinite(places.corners).all(axis=(1, 2)))
    lons, lats = places.centres[known].T
    rows, cols = blocks_of(lons, lats, rule.block_m)
    boxes = np.stack(extents(places.corners[known], rule.buffer_m or 0.0), axis=1)
    for index, row, col, box in zip(
        known.tolist(), rows.tolist(), cols.tolist(), boxes.tolist(), strict=True
    ):
        own = split_of_block((row, col))
        found[index] = own
        if rule.buffer_m is None:
            continue
        west, south, east, north = box
        if any(
            split_of_block(block) != own
            for block in blocks_under(west, south, east, north, rule.block_m)
        ):
            found[index] = LeftOut.AT_BORDER
    return found


def _block_splits(block_m: float, shares: SplitConfig) -> Callable[[Block], str]:
    """Returns a function that draws a block's split; each draw is made once."""
    drawn: dict[Block, str] = {}

    def split_of(block: Block) -> str:
        if block not in drawn:
            drawn[block] = drawn_split("block", block_name(block, block_m), shares)
        return drawn[block]

    return split_of


def _by_area(places: TileFootprints, areas: LabelSet | None) -> list[str | LeftOut]:
    if areas is None:
        raise ConfigError("The split by area needs the areas.")
    with translated(lambda why: DataError(f"Areas {areas.source} cannot be used: {why}.")):
        return _in_areas(places, _areas_by_split(areas))


def _in_areas(
    places: TileFootprints, drawn: Sequence[tuple[str, shapely.Geometry]]
) -> list[str | LeftOut]:
    known = np.asarray(np.isfinite(places.corners).all(axis=(1, 2)))
    corners = np.nan_to_num(places.corners)
    # A footprint across the date line stays whole, close to its centre.
    corners[..., 0] += np.round((places.centres[:, None, 0] - corners[..., 0]) / 360) * 360
    footprints = shapely.polygons(np.nan_to_num(corners))
    found: list[str | LeftOut] = [
        LeftOut.OUTSIDE_AREAS if one else LeftOut.NO_PLACE for one in known.tolist()
    ]
    for split, area in drawn:
        shapely.prepare(area)
        meets = known & np.asarray(shapely.intersects(area, footprints))
        for index in np.flatnonzero(meets).tolist():
            if found[index] != LeftOut.OUTSIDE_AREAS:
                found[index] = LeftOut.AT_BORDER
            elif shapely.covers(area, footprints[index]):
                found[index] = split
            else:
                found[index] = LeftOut.AT_BORDER
    return found


def _areas_by_split(areas: LabelSet) -> Sequence[tuple[str, shapely.Geometry]]:
    """Returns one area in degrees for each split that the file has."""
    areas = in_degrees(areas)
    try:
        splits = np.array([split_named(name) or "" for name in areas.classes.tolist()])
    except ValueError as error:
        raise DataError(f"Areas {areas.source}: {error}") from error
    # Footprints continue past 180, so areas are repeated there.
    return [
        (split, turned_to(shapely.union_all(areas.geometries[splits == split]), -360, 360))
        for split in np.unique(splits)
    ]


def in_degrees(areas: LabelSet) -> LabelSet:
    """Converts areas to longitude and latitude; those that have none become rejects.

    Raises:
        DataError: their CRS is not one of the earth, or no area can be converted.
    """

    def moved_points(points: Floats) -> Floats:
        return np.stack(reproject(areas.crs, LONLAT, points[:, 0], points[:, 1]), axis=1)

    with translated(lambda why: DataError(f"Areas {areas.source} cannot be used: {why}.")):
        moved = shapely.transform(areas.geometries, moved_points)
        known = np.isfinite(shapely.bounds(moved)).all(axis=1)
    detail = f"its place in {crs_name(areas.crs)} has no longitude and latitude."
    rejects = [
        areas.reject(place, Reason.NOT_PROJECTABLE, detail)
        for place in np.flatnonzero(~known).tolist()
    ]
    if not known.any():
        raise DataError(f"{areas.source} holds no usable area: of each, {detail}")
    return replace(
        areas,
        crs=LONLAT,
        numbers=areas.numbers[known],
        geometries=moved[known],
        classes=areas.classes[known],
        values=areas.values[known],
        rejects=(*areas.rejects, *rejects),
    )
