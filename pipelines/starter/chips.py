"""Traits of a folder of GeoTIFF chips, for a first configuration."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from components.ingest.rasters.chips.config import ChipsSource
from components.ingest.rasters.chips.views import chip_source, open_chips
from components.ingest.records.record import Record
from components.raster.image import ImageSpec
from components.raster.scene.grid import Floats
from components.raster.scene.rejects import SceneRejected
from components.raster.spatial.distance import great_circle_m
from components.raster.spatial.places import TileFootprints, all_places, places_of
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.view import View

_SUFFIXES = (".tif", ".tiff", ".jp2")
#: Blocks across the extent of the data, and the fewest chips along a block.
_BLOCKS_ACROSS = 40
_CHIPS_ALONG = 3
_LEAST_BLOCK_M = 10


@dataclass(frozen=True)
class ChipTraits:
    """Common traits of chips.

    Attributes:
        bands: band names of most chips.
        side_px: median of the shorter sides, limited to the sizes of a tile model's input.
        block_m: side of the blocks to split by; None for chips that are not georeferenced.
    """

    bands: tuple[str, ...]
    side_px: int
    block_m: int | None


def chip_traits(records: Sequence[Record]) -> ChipTraits | None:
    """Returns the traits of a sample of records; None for photographs or if none can be opened."""
    named = [record for record in records if record.uri.lower().endswith(_SUFFIXES)]
    if 2 * len(named) <= len(records):
        return None
    options = ChipsSource(uri="chips", without_map=True)
    sources = [chip_source(record.key, record.uri, options) for record in named]
    views = [
        view
        for view in open_chips(sources, options, ImageSpec())
        if not isinstance(view, SceneRejected)
    ]
    if not views:
        return None
    bands = Counter(view.scene.band_names for view in views).most_common(1)[0][0]
    sides = [min(view.grid.height_px, view.grid.width_px) for view in views]
    with_map = [view for view in views if view.grid.crs is not None]
    places = all_places(places_of(view, [_whole(view)]) for view in with_map)
    block_m = block_side_m(places) if 2 * len(with_map) > len(views) else None
    return ChipTraits(bands, min(max(median_low(sides), 8), 256), block_m)


def _whole(view: View) -> TileKey:
    return TileKey(view.scene.scene_id, Window(0, 0, view.grid.height_px, view.grid.width_px))


def block_side_m(places: TileFootprints) -> int:
    """Returns the side of the blocks to split by: a fraction of the extent, to one digit."""
    across = _metres(places.centres.min(axis=0), places.centres.max(axis=0))
    chip = _metres(places.corners[0, 0], places.corners[0, 1])
    wanted = max(across / _BLOCKS_ACROSS, _CHIPS_ALONG * chip, _LEAST_BLOCK_M)
    power = 10 ** math.floor(math.log10(wanted))
    return int(wanted // power * power)


def _metres(one: Floats, other: Floats) -> float:
    """Returns the distance in metres between two places (longitude, latitude)."""
    lon, lat = one.tolist()
    return float(great_circle_m(lon, lat, other[:1], other[1:])[0])
