"""Traits of a folder of scenes, for a first configuration: bands, tiles, location and labels."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from components.ingest.listing.folders import list_files
from components.ingest.rasters.scenes.config import ScenesSource
from components.ingest.rasters.scenes.views import open_scene_views
from components.raster.errors import DataError
from components.raster.example import SPLITS
from components.raster.image import ImageSpec
from components.raster.packed import Packed
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.scene.sensors import sensor_band
from components.raster.spatial.places import all_places, places_of
from components.raster.spatial.rules import ByBlock, assign
from components.raster.split import SplitConfig
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.tiling import Tiling, plan_tiles
from components.raster.tiles.view import View
from pipelines.starter.chips import block_side_m
from pipelines.starter.labels import FoundLabels, find_labels, is_named_like_labels
from pipelines.starter.masks import folder_pair

_RASTERS = (".tif", ".tiff", ".jp2", ".img")
_PICTURES = (".jpg", ".jpeg", ".png")
#: Shorter sides from which an image counts as a scene: rasters, georeferenced rasters with labels
#: beside them, and photographs.
_LEAST_SCENE_PX, _LEAST_LABELLED_PX, _LEAST_PICTURE_PX = 512, 128, 1024
_TILE_SIDES = (256, 128, 64)
_TILES_ACROSS = 8
_TRIED = 4  # scenes whose tiles are assigned to find blocks that leave no split empty
_SAMPLED = 50
_FEW_SCENES = 10
_CLASSES, _IMAGES_A_CLASS = 2, 5


@dataclass(frozen=True)
class SceneTraits:
    """Common traits of scenes.

    Attributes:
        count: number of scenes.
        bands: band names of most scenes.
        side_px: side of the tiles to cut.
        split_by: the split rule as in a configuration, and the unit of its shares.
    """

    count: int
    bands: tuple[str, ...]
    side_px: int
    split_by: tuple[dict[str, Any], str]


@dataclass(frozen=True)
class SceneProposal:
    """Scenes and the labels beside them."""

    source: ScenesSource
    traits: SceneTraits
    labels: FoundLabels


def propose_scenes(folder: str) -> SceneProposal | None:
    """Proposes scenes with their labels; None for a folder of tiles or photographs.

    Raises:
        DataError: the scenes have no labels beside them, or several candidates.
    """
    paths = Packed(record.uri for record in list_files(folder).records.by_key())
    pictures = _candidates(folder, paths, _PICTURES)
    rasters = _candidates(folder, paths, _RASTERS) or pictures
    if not rasters or _are_classes(folder, rasters):
        return None
    views = list(_views(rasters[:: max(1, len(rasters) // _SAMPLED)]))
    side = median_low([min(it.grid.height_px, it.grid.width_px) for it in views]) if views else 0
    with_map = bool(views) and all(view.grid.crs is not None for view in views)
    are_pictures = rasters is pictures
    if side < _least_side(folder, with_map, are_pictures):
        return None
    if _are_bands(rasters, views):
        raise DataError(
            f"{folder}: {len(rasters)} files of one band each, such as {rasters[0]}. Write the "
            "source by hand: kind: scenes with layout: folder, where the files of a folder are the "
            "bands of a scene (docs/scenes.md)."
        )
    labels = find_labels(folder, rasters)
    if labels is None:
        if are_pictures or side < _LEAST_SCENE_PX:
            return None
        raise DataError(_no_labels(folder, rasters, views[0]))
    traits = _traits(rasters, views, side, with_map)
    return SceneProposal(_source(folder, rasters, traits, with_map, labels), traits, labels)


def _least_side(folder: str, with_map: bool, are_pictures: bool) -> float:
    """Returns the shorter side, in pixels, from which rasters or photographs may be scenes."""
    if are_pictures:  # photographs with masks are another kind of source
        return _LEAST_PICTURE_PX if folder_pair(folder) is None else float("inf")
    return _LEAST_LABELLED_PX if with_map else _LEAST_SCENE_PX


def _candidates(folder: str, paths: Iterable[str], suffixes: tuple[str, ...]) -> Packed[str]:
    return Packed(
        path
        for path in paths
        if path.lower().endswith(suffixes) and not is_named_like_labels(folder, path)
    )


def _are_classes(folder: str, rasters: Sequence[str]) -> bool:
    """Checks whether the rasters' folders look like classes, as those of chips do."""
    tops = Counter(os.path.relpath(path, folder).partition(os.sep)[0] for path in rasters)
    if any(os.path.dirname(path) == os.path.abspath(folder) for path in rasters):
        return False
    return sum(count >= _IMAGES_A_CLASS for count in tops.values()) >= _CLASSES


def _are_bands(rasters: Sequence[str], views: Sequence[View]) -> bool:
    """Checks whether rasters are single-band files named like those of a known sensor."""
    names = {known.name for path in rasters if (known := sensor_band(path)) is not None}
    alone = all(len(view.scene.bands) == 1 for view in views)
    return alone and len(names) > 1 and all(map(sensor_band, rasters))


def _views(paths: Sequence[str]) -> Iterator[View]:
    options = ScenesSource(uri="scenes", without_map=True)
    sources = [SceneSource(path, (BandFile(path),)) for path in paths]
    for view in open_scene_views(sources, options, ImageSpec()):
        if not isinstance(view, SceneRejected):
            yield view


def _traits(
    rasters: Sequence[str], views: Sequence[View], side: int, with_map: bool
) -> SceneTraits:
    bands = Counter(view.scene.band_names for view in views).most_common(1)[0][0]
    fitting = (it for it in _TILE_SIDES if it * _TILES_ACROSS <= side)
    tile = next(fitting, _TILE_SIDES[-1])
    return SceneTraits(len(rasters), bands, tile, _split_by(views, tile, len(rasters), with_map))


def _split_by(
    views: Sequence[View], tile: int, scenes: int, with_map: bool
) -> tuple[dict[str, Any], str]:
    if with_map:
        rule = {"by": "block", "block_m": _block_m(views, tile), "buffer_m": None}
        return rule, "of blocks of ground"
    if scenes >= _FEW_SCENES:
        return {"by": "scene"}, "of scenes, since they have no place on a map"
    few = "of tiles: too few scenes without a place on a map; neighbours leak into each other"
    return {"by": "tile", "insist": True}, few


def _block_m(views: Sequence[View], tile: int) -> int:
    """Returns the largest candidate block side that leaves no split empty."""
    side = block_side_m(all_places(places_of(view, _corners(view, tile)) for view in views))
    tiling = Tiling(size_px=tile, edge="drop")
    tiles = all_places(
        places_of(view, plan_tiles(view.scene.scene_id, view.grid, tiling).keys())
        for view in views[:_TRIED]
    )
    for block_m in (side, side // 2, side // 3, side // 4, side // 6):
        drawn = assign(tiles, ByBlock(block_m=max(block_m, 10), buffer_m=None), SplitConfig())
        if set(drawn.splits) == set(SPLITS):
            return max(block_m, 10)
    return side


def _corners(view: View, tile: int) -> list[TileKey]:
    """Returns the first and the last tile of a scene."""
    last = Window(view.grid.height_px - tile, view.grid.width_px - tile, tile, tile)
    return [TileKey(view.scene.scene_id, place) for place in (Window(0, 0, tile, tile), last)]


def _source(
    folder: str, rasters: Sequence[str], traits: SceneTraits, with_map: bool, labels: FoundLabels
) -> ScenesSource:
    root = rasters[0] if len(rasters) == 1 else os.path.commonpath(rasters)
    beside = [path for path in labels.rasters if path.startswith(root + os.sep)]
    if beside and labels.tree["kind"] != "masks":
        raise DataError(
            f"{beside[0]} lies among the scenes of {root} and would be taken for one of them: move "
            "the scenes into a folder of their own, such as scenes."
        )
    suffixes = tuple(sorted({os.path.splitext(path)[1].lower() for path in rasters}))
    known = set(suffixes) <= set(_RASTERS)
    return ScenesSource.model_validate(
        {
            "kind": "scenes",
            "uri": root,
            "without_map": not with_map,
            "tiling": {"size_px": traits.side_px},
            "labels": labels.tree,
            "target": labels.target,
            **({} if known else {"suffixes": suffixes}),
        }
    )


def _no_labels(folder: str, rasters: Sequence[str], view: View) -> str:
    size = f"{view.grid.height_px:,} x {view.grid.width_px:,} pixels"
    return (
        f"{folder}: {len(rasters)} scenes (such as {rasters[0]}: {size}) and no labels beside "
        "them. Put there one of: shapes on a map (labels.geojson, .gpkg, .fgb or .shp); a raster "
        "of classes (labels.tif); a folder masks with an image of classes for each scene, of its "
        "name; boxes in pixels (COCO .json, a .csv with image_path, xmin, ymin, xmax, ymax and "
        "label, or a folder of Pascal VOC .xml). Or write the source by hand (docs/scenes.md)."
    )
