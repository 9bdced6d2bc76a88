"""Scenes named by a user: files, folders, addresses, STAC items and queries."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from components.mapping.config import SceneReading
from components.raster.errors import DataError
from components.raster.location import is_remote
from components.raster.scene.calibration import calibrated
from components.raster.scene.folders import Layout, check_folders, check_ids, find_scenes
from components.raster.scene.gdal import SUFFIXES
from components.raster.scene.scene import BandFile, FoundScenes, SceneSource
from components.raster.scene.stac_query import StacQuery

#: Suffixes of photographs, which only a model of photographs takes.
PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
_STAC = (".json", ".geojson")


def scenes_at(
    locations: Sequence[str],
    reading: SceneReading,
    *,
    photographs: bool = False,
    layout: Layout = "file",
    query: StacQuery | None = None,
) -> FoundScenes:
    """Finds the scenes at several locations, in their order.

    Args:
        locations: raster files, folders of them, addresses of rasters, or files of STAC items.
        reading: names of bands that files do not name.
        photographs: JPEG and PNG files in folders are scenes too.
        layout: of folders: a scene is a file, or a folder with a file for each band.
        query: to a STAC source, beside the locations.

    Raises:
        DataError: there is nothing, or two scenes have one id.
    """
    suffixes = (*SUFFIXES, *PHOTOGRAPHS) if photographs else SUFFIXES
    found = [_at(location, reading, suffixes, layout) for location in locations]
    if query is not None:
        found.append(_of_stac(query))
    sources = tuple(source for part in found for source in part.sources)
    rejects = tuple(reject for part in found for reject in part.rejects)
    if not sources and not rejects:
        raise DataError("there is no scene: name files, folders, or STAC items.")
    check_ids(sources)
    check_folders(sources)
    ignored = sum((Counter(part.ignored) for part in found), Counter[str]())
    return FoundScenes(sources, rejects, ignored)


def _at(
    location: str, reading: SceneReading, suffixes: tuple[str, ...], layout: Layout
) -> FoundScenes:
    if location.lower().endswith(_STAC):
        return _of_stac(StacQuery(source=location))
    if is_remote(location):
        name = PurePosixPath(location.partition("://")[2]).stem
        return FoundScenes((SceneSource(name, (BandFile(location, reading.band_names),)),))
    if not os.path.exists(location):
        raise DataError(
            f"{location} is neither a folder nor a file. Name the folder or file with the scenes."
        )
    names = reading.band_names
    return calibrated(find_scenes(location, layout=layout, band_names=names, suffixes=suffixes))


def _of_stac(query: StacQuery) -> FoundScenes:
    from components.raster.scene.stac import find_stac_scenes  # only these need its client

    return find_stac_scenes(query)
