"""Scenes: found, opened and cut into tiles on paper, before a pixel is read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path, PurePosixPath

import numpy as np
import shapely

from components.ingest.config import IngestConfig
from components.ingest.label_codes import check_legend, mask_of, masks_of
from components.ingest.labelling import Labeller, SceneLabels, class_names, read_shapes
from components.ingest.labels_rejected import LabelsRejected
from components.ingest.layout import shard_count
from components.ingest.place_split import splits_of
from components.ingest.raster_config import (
    BoxLabels,
    ClassRasterLabels,
    MaskLabels,
    ScenesSource,
    ShapeLabels,
    StacSource,
    TiledSource,
)
from components.ingest.record import Listing
from components.ingest.reject import Reject, reject_of_label
from components.ingest.scalings import Scalings
from components.ingest.scene_part import ScenePart
from components.ingest.views import open_views, scene_reject
from components.raster.errors import ConfigError, DataError
from components.raster.labels.rejects import LabelReject
from components.raster.labels.shapes import labels_nowhere
from components.raster.labels.vectors import LabelSet, VectorLabels, read_labels
from components.raster.location import is_remote
from components.raster.scene.calibration import calibrated
from components.raster.scene.folders import check_ids, find_scenes
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, FoundScenes, SceneSource
from components.raster.spatial.places import Places, all_places, places_of
from components.raster.spatial.rules import LeftOut
from components.raster.tiles.areas import area_in_pixels
from components.raster.tiles.key import TileKey
from components.raster.tiles.parts import plan_parts
from components.raster.tiles.tiling import TilePlan, plan_tiles
from components.raster.tiles.view import View

_TILES_A_PART = 512


@dataclass(frozen=True, eq=False)
class PlannedScene:
    """A scene that can be used: its view, its tiles and where they lie."""

    source: SceneSource
    view: View
    plan: TilePlan
    places: Places

    @property
    def uri(self) -> str:
        """Where the scene lies: its first file."""
        return self.source.files[0].path


@dataclass(frozen=True, eq=False)
class PlannedScenes:
    """All scenes of a source, their labels, what could not be used, and files that are neither."""

    scenes: tuple[PlannedScene, ...]
    labels: tuple[SceneLabels, ...]
    rejects: tuple[Reject, ...]
    classes: tuple[str, ...]
    ignored: Mapping[str, int]

    @property
    def places(self) -> Places:
        """The places of all tiles, scene by scene."""
        return all_places(scene.places for scene in self.scenes)


@dataclass(frozen=True, eq=False)
class NamedScenes:
    """Scenes, rejects and other files that a source names; no raster is opened."""

    sources: tuple[SceneSource, ...]
    rejects: tuple[Reject, ...]
    ignored: Mapping[str, int]


def name_scenes(source: TiledSource) -> NamedScenes:
    """The scenes that a folder or a catalogue names; no raster is opened.

    Raises:
        DataError: the source cannot be read, or gives two scenes one id.
    """
    found = _found_scenes(source)
    check_ids(found)
    dated = (
        scene if scene.acquired else replace(scene, acquired=source.date_of(scene.scene_id))
        for scene in found
    )
    rejects = tuple(scene_reject(rejected, source.uri) for rejected in found.rejects)
    return NamedScenes(tuple(dated), rejects, found.ignored)


def _found_scenes(source: TiledSource) -> FoundScenes:
    if isinstance(source, StacSource):
        from components.raster.scene.stac import find_stac_scenes  # only these need its client

        return find_stac_scenes(source.query)
    assert isinstance(source, ScenesSource)
    if is_remote(source.uri):
        name = PurePosixPath(source.uri.partition("://")[2]).stem
        return FoundScenes((SceneSource(name, (BandFile(source.uri, source.band_names),)),))
    found = find_scenes(
        source.uri, layout=source.layout, band_names=source.band_names, suffixes=source.suffixes
    )
    return calibrated(found)


def plan_scenes(
    config: IngestConfig, source: TiledSource, named: NamedScenes | None = None
) -> PlannedScenes:
    """Opens the headers of all scenes, lays their labels on them and plans their tiles.

    Args:
        config: of ingest.
        source: its source.
        named: from `name_scenes`; None asks the source now.

    Raises:
        DataError: the source or its labels cannot be read, masks hold undeclared classes, or boxes
            of one image belong to two scenes.
        ConfigError: the area or the background cannot be used.
    """
    named = named or name_scenes(source)
    rejects = list(named.rejects)
    shapes = read_shapes(source)
    classes = config.classes or class_names(source, shapes)
    labeller, area = Labeller(source, classes, shapes), read_area(source)
    scenes, labels = [], []
    views = open_views(named.sources, source, config.image)
    scalings = Scalings(config.image)
    for scene, view in zip(named.sources, views, strict=True):
        uri = scene.files[0].path
        try:
            if isinstance(view, SceneRejected):
                raise view
            planned = _planned(scene, view, source, area)
            labels.append(labeller.of_scene(view))
            scenes.append(planned)
            scalings.add(view)
        except SceneRejected as rejected:
            rejects.append(scene_reject(rejected, uri))
        except LabelsRejected as rejected:
            rejects.append(Reject(scene.scene_id, uri, rejected.reason, rejected.detail))
    scalings.agreed()
    _check_legend(source, scenes)
    if isinstance(source.labels, BoxLabels):
        _refuse_two_of_one_name(source.labels, labels)
    rejects += _label_rejects(source, shapes, labels)
    return PlannedScenes(tuple(scenes), tuple(labels), tuple(rejects), classes, named.ignored)


def list_scenes(
    config: IngestConfig, source: TiledSource, named: NamedScenes | None = None
) -> Listing:
    """The parts of all scenes that workers take, and the split of every tile.

    Raises:
        DataError: no scene can be used, or the split would leak.
        ConfigError: something that the configuration names cannot be used.
    """
    planned = plan_scenes(config, source, named)
    if not planned.scenes:
        first = f" (such as {planned.rejects[0].detail})" if planned.rejects else ""
        raise DataError(
            f"no scene in {config.source.uri} can be used: {len(planned.rejects)} rejects{first}"
        )
    places = planned.places
    splits = splits_of(places, [None] * len(places), config, are_chips=False)
    ignored = Counter(f"({split})" for split in splits if isinstance(split, LeftOut))
    ignored.update(planned.ignored)
    return Listing(
        records=(),
        rejects=tuple(sorted(planned.rejects, key=lambda reject: reject.key)),
        ignored=dict(sorted(ignored.items())),
        classes=planned.classes,
        parts=tuple(_parts(planned.scenes, splits, config.shards)),
    )


def read_area(source: TiledSource) -> tuple[shapely.Geometry, str] | None:
    """The area of interest and its CRS.

    Raises:
        DataError: it cannot be read.
        ConfigError: it holds no polygon.
    """
    if source.area is None:
        return None
    found = read_labels(VectorLabels(path=source.area))
    area = shapely.union_all(found.geometries)
    if not area.area:
        raise ConfigError(f"ingest.source.area: {source.area} holds no polygon")
    return area, found.crs


def plan_of(view: View, source: TiledSource, area: tuple[shapely.Geometry, str] | None) -> TilePlan:
    """The tiles of a view, the same in the listing and in every worker.

    Raises:
        SceneRejected: there are none.
    """
    scene_id, inside = view.scene.scene_id, None
    if area is not None:
        inside = area_in_pixels(scene_id, view.grid, area[0], area[1])
    return plan_tiles(scene_id, view.grid, source.tiling, area=inside)


def _planned(
    named: SceneSource,
    view: View,
    source: TiledSource,
    area: tuple[shapely.Geometry, str] | None,
) -> PlannedScene:
    plan = plan_of(view, source, area)
    group = source.group_of(named.scene_id)
    return PlannedScene(named, view, plan, places_of(view, plan.keys(), group=group))


def _check_legend(source: TiledSource, scenes: Sequence[PlannedScene]) -> None:
    if isinstance(source.labels, MaskLabels) and scenes:
        masks = masks_of(source.labels)
        check_legend(source.labels, [mask_of(masks, scene.view) for scene in scenes])
    elif isinstance(source.labels, ClassRasterLabels):
        check_legend(source.labels, [Path(source.labels.path)])


def _refuse_two_of_one_name(boxes: BoxLabels, labels: Sequence[SceneLabels]) -> None:
    placed = [scene.shapes.numbers.tolist() for scene in labels if scene.shapes is not None]
    shared = [number for number, count in Counter(chain(*placed)).items() if count > 1]
    if shared:
        raise DataError(
            f"{len(shared)} boxes of {boxes.path} (such as {min(shared)}) are of two scenes: the "
            "name of their image is the end of both paths. Choose the scenes by source.suffixes, "
            "or let the labels name folders as well."
        )


def _label_rejects(
    source: TiledSource, shapes: LabelSet | None, labels: Sequence[SceneLabels]
) -> list[Reject]:
    """Labels that were left out, each once whatever the number of scenes."""
    if shapes is None:
        return []
    found = [*shapes.rejects, *(reject for scene in labels for reject in scene.rejects)]
    if isinstance(source.labels, ShapeLabels | BoxLabels) and source.labels.outside == "reject":
        known = {reject.number for reject in found}
        nowhere = labels_nowhere(shapes, (it.shapes for it in labels if it.shapes is not None))
        found += [reject for reject in nowhere if reject.number not in known]
    unique: dict[int, LabelReject] = {}
    for reject in found:
        unique.setdefault(reject.number, reject)
    return [reject_of_label(reject) for reject in unique.values()]


def _parts(
    scenes: Sequence[PlannedScene], splits: Sequence[str | LeftOut], shards: int | None
) -> Iterable[ScenePart]:
    """Ranges of blocks of each scene, more of them than shards."""
    edges = np.cumsum([0] + [len(scene.places) for scene in scenes]).tolist()
    total, wanted = edges[-1], shard_count(edges[-1], shards)
    for scene, (first, last) in zip(scenes, pairwise(edges), strict=True):
        own: dict[TileKey, str | None] = {
            key: None if isinstance(split, LeftOut) else split
            for key, split in zip(scene.places.keys, splits[first:last], strict=True)
        }
        count = max(-(-len(own) // _TILES_A_PART), -(-wanted * len(own) // total), 1)
        blocks = scene.view.block_shape, scene.view.block_shift
        for part in plan_parts(scene.plan, count, *blocks):
            of_tiles = list(map(own.__getitem__, part.keys()))
            if any(of_tiles):
                yield ScenePart.of(scene.source, part, of_tiles)
