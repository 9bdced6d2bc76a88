"""Planning of scenes: opening and division into tiles, before a pixel is read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from components.ingest.files.layout import shard_count
from components.ingest.rasters.scalings import agreed_scalings
from components.ingest.rasters.scenes.areas import Area, plan_of, read_area
from components.ingest.rasters.scenes.config import TiledSource
from components.ingest.rasters.scenes.labels.kinds import kind_of
from components.ingest.rasters.scenes.labels.labeller import Labeller, class_names
from components.ingest.rasters.scenes.labels.reader import LabelsRejected, SceneLabels
from components.ingest.rasters.scenes.named import NamedScenes
from components.ingest.rasters.scenes.views import open_scene_views
from components.ingest.rasters.split import rejected_areas, splits_of, train_to_test_m
from components.ingest.rasters.views import scene_reject
from components.ingest.records.record import Listing, Records
from components.ingest.records.reject import Reject, in_words, reject_of_label
from components.ingest.records.scene_part import ScenePart
from components.ingest.records.settings import Settings
from components.raster.band_scalings import BandScalings
from components.raster.errors import DataError
from components.raster.labels.rejects import LabelReject
from components.raster.library_errors import LibraryError, translated
from components.raster.reasons import Reason
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import SceneSource
from components.raster.spatial.places import TileFootprints, all_places, places_of
from components.raster.spatial.rules import LeftOut
from components.raster.tiles.key import TileKey
from components.raster.tiles.parts import plan_parts
from components.raster.tiles.tiling import TilePlan
from components.raster.tiles.view import View

_TILES_A_PART = 512


@dataclass(frozen=True, eq=False)
class PlannedScene:
    """A usable scene: its view, its tiles and their footprints, and its label
    (see `NamedScenes`)."""

    source: SceneSource
    view: View
    plan: TilePlan
    places: TileFootprints
    truth: str | None = None

    @property
    def uri(self) -> str:
        """Path of the scene's first file."""
        return self.source.files[0].path


@dataclass(frozen=True, eq=False)
class PlannedScenes:
    """All scenes of a source, their labels, the rejects, and the ignored files."""

    scenes: tuple[PlannedScene, ...]
    labels: tuple[SceneLabels, ...]
    rejects: tuple[Reject, ...]
    classes: tuple[str, ...]
    ignored: Mapping[str, int]
    scalings: BandScalings | None

    @property
    def places(self) -> TileFootprints:
        """Footprints of all tiles, scene by scene."""
        return all_places(scene.places for scene in self.scenes)


def plan_scenes(settings: Settings, source: TiledSource, named: NamedScenes) -> PlannedScenes:
    """Opens the headers of all scenes, aligns their labels and plans their tiles.

    Args:
        settings: of ingest.
        source: of scenes.
        named: from `name_scenes`.

    Raises:
        DataError: the labels cannot be read, masks hold undeclared classes, or
            scenes differ in scale or offset.
        ConfigError: the area or the background cannot be used.
    """
    rejects = list(named.rejects)
    reader = kind_of(source.labels).read()
    classes = settings.classes or class_names(reader, source.target)
    labeller, area = Labeller(reader, source.target, classes), read_area(source)
    scenes, labels = [], []
    views = open_scene_views(named.sources, source, settings.image)
    for scene, truth, view in zip(named.sources, named.truths, views, strict=True):
        uri = scene.files[0].path
        try:
            if isinstance(view, SceneRejected):
                raise view
            with translated():
                planned = _planned(scene, truth, view, source, area)
                labels.append(labeller.of_scene(view, truth))
            scenes.append(planned)
        except SceneRejected as rejected:
            rejects.append(scene_reject(rejected, uri))
        except LabelsRejected as rejected:
            rejects.append(Reject(scene.scene_id, uri, rejected.reason, rejected.detail))
        except LibraryError as error:
            rejects.append(Reject(scene.scene_id, uri, Reason.UNREADABLE, str(error)))
    unmasked = reader.unreadable([scene.truth for scene in scenes])
    rejects += [
        Reject(scenes[place].source.scene_id, scenes[place].uri, Reason.UNREADABLE, why)
        for place, why in unmasked.items()
    ]
    scenes = [scene for place, scene in enumerate(scenes) if place not in unmasked]
    labels = [found for place, found in enumerate(labels) if place not in unmasked]
    rejects += _label_rejects(reader.left_out(labels, named.claimed))
    rejects += () if area is None else area.rejects
    agreed = agreed_scalings((scene.view for scene in scenes), settings.image)
    return PlannedScenes(
        tuple(scenes), tuple(labels), tuple(rejects), classes, named.ignored, agreed
    )


def list_scenes(
    settings: Settings, source: TiledSource, source_uri: str, named: NamedScenes
) -> Listing:
    """Returns the parts of all scenes for workers, and the split of every tile.

    Args:
        settings: of ingest.
        source: of scenes.
        source_uri: for messages.
        named: from `name_scenes`.

    Raises:
        DataError: no scene can be used, or the split would leak.
        ConfigError: something named in the configuration cannot be used.
    """
    planned = plan_scenes(settings, source, named)
    if not planned.scenes:
        raise DataError(f"no scene in {source_uri} can be used: {in_words(planned.rejects)}")
    places = planned.places
    splits = splits_of(places, [None] * len(places), settings, source.tiling)
    ignored = Counter(f"({split})" for split in splits if isinstance(split, LeftOut))
    ignored.update(planned.ignored)
    rejects = [*planned.rejects, *rejected_areas(settings.split_by)]
    return Listing(
        records=Records(),
        rejects=tuple(sorted(rejects, key=lambda reject: reject.key)),
        ignored=dict(sorted(ignored.items())),
        classes=planned.classes,
        parts=tuple(_parts(planned.scenes, splits, settings.shards)),
        scalings=planned.scalings,
        scene_groups={
            scene.source.scene_id: group
            for scene in planned.scenes
            if (group := source.group_of(scene.source.scene_id)) is not None
        },
        train_to_test_m=train_to_test_m(places, splits),
    )


def _planned(
    named: SceneSource,
    truth: str | None,
    view: View,
    source: TiledSource,
    area: Area | None,
) -> PlannedScene:
    plan = plan_of(view, source, area)
    group = source.group_of(named.scene_id)
    return PlannedScene(named, view, plan, places_of(view, plan.keys(), group=group), truth)


def _label_rejects(found: Iterable[LabelReject]) -> list[Reject]:
    """Returns labels that were left out, each once whatever the number of scenes."""
    unique: dict[tuple[str, int], LabelReject] = {}
    for reject in found:
        unique.setdefault((reject.source, reject.number), reject)
    return [reject_of_label(reject) for reject in unique.values()]


def _parts(
    scenes: Sequence[PlannedScene], splits: Sequence[str | LeftOut], shards: int | None
) -> Iterable[ScenePart]:
    """Yields ranges of blocks of each scene; there are more of them than shards."""
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
                yield ScenePart.of(scene.source, part, of_tiles, scene.truth)
