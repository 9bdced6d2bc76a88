"""Area of interest of scenes, and the tiles of a scene inside it."""

from typing import NamedTuple

import numpy as np
import shapely

from components.ingest.rasters.scenes.config import TiledSource
from components.ingest.records.reject import Reject, reject_of_label
from components.raster.errors import ConfigError
from components.raster.labels.vectors import VectorLabels, read_labels
from components.raster.library_errors import translated
from components.raster.scene.grid import LONLAT, reproject
from components.raster.tiles.areas import area_in_pixels
from components.raster.tiles.tiling import TilePlan, plan_tiles
from components.raster.tiles.view import View


class Area(NamedTuple):
    """The area of interest, its CRS, and the unusable features of its file."""

    geometry: shapely.Geometry
    crs: str
    rejects: tuple[Reject, ...]


def read_area(source: TiledSource) -> Area | None:
    """Reads the area of interest.

    Raises:
        DataError: it cannot be read.
        ConfigError: it holds no polygon, or its CRS is not one of the earth.
    """
    if source.area is None:
        return None
    found = read_labels(VectorLabels(path=source.area, layer=source.area_layer))
    key = f"ingest.source.area: {source.area}"
    with translated(lambda why: ConfigError(f"{key}: {why}.")):
        geometry = shapely.union_all(found.geometries)
        left, bottom, right, top = geometry.bounds
        reproject(found.crs, LONLAT, np.array([left, right]), np.array([bottom, top]))
        if not geometry.area:
            raise ConfigError(f"{key} holds no polygon")
    return Area(geometry, found.crs, tuple(map(reject_of_label, found.rejects)))


def plan_of(view: View, source: TiledSource, area: Area | None) -> TilePlan:
    """Plans the tiles of a view; the listing and all workers get the same plan.

    Raises:
        SceneRejected: there are none.
    """
    scene_id, inside = view.scene.scene_id, None
    if area is not None:
        inside = area_in_pixels(scene_id, view.grid, area.geometry, area.crs)
    return plan_tiles(scene_id, view.grid, source.tiling, area=inside)
