"""Conversion of scene parts to examples, in a worker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from components.ingest.rasters.scenes.areas import plan_of, read_area
from components.ingest.rasters.scenes.config import TiledSource
from components.ingest.rasters.scenes.labels.kinds import kind_of
from components.ingest.rasters.scenes.labels.labeller import Labeller
from components.ingest.rasters.scenes.labels.reader import LabelsRejected, TruthAt
from components.ingest.rasters.scenes.views import open_scene_view
from components.ingest.rasters.tile_example import TileEncoder
from components.ingest.rasters.views import scene_reject, too_little_valid
from components.ingest.records.outcome import Converted, Ignored
from components.ingest.records.record import Record
from components.ingest.records.reject import Reject
from components.ingest.records.scene_part import ScenePart
from components.ingest.records.settings import Settings
from components.raster.library_errors import LibraryError
from components.raster.reasons import Reason
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import SceneSource
from components.raster.tiles.reading import read_tiles
from components.raster.tiles.tile import Tile, TileReject
from components.raster.tiles.tiling import TilePlan
from components.raster.tiles.view import View
from components.raster.truth.value import Truth

_SCENES_KEPT = 8
#: Names under which empty tiles are counted: the collar of a scene, and areas without
#: truth.
NO_DATA, NO_TRUTH = "(no_data)", "(no_truth)"


@dataclass(frozen=True, eq=False)
class LabelledTile:
    """A tile with its truth."""

    record: Record
    tile: Tile
    view: View
    truth: Truth


@dataclass(frozen=True, eq=False)
class _Open:
    view: View
    plan: TilePlan
    truth_at: TruthAt


class SceneConverter:
    """Reads, labels and encodes the tiles of parts of scenes.

    Args:
        settings: of ingest.
        source: of scenes.
        classes: class names in the order of their indices.
    """

    def __init__(self, settings: Settings, source: TiledSource, classes: Sequence[str]) -> None:
        self._source, self._image = source, settings.image
        self._area = read_area(source)
        self._labeller = Labeller(kind_of(source.labels).read(), source.target, classes)
        self._encode = TileEncoder(settings.image, classes, are_files=False)
        self._open = lru_cache(_SCENES_KEPT)(self._opened)

    def convert(self, parts: Sequence[ScenePart]) -> Iterator[Converted | Reject | Ignored]:
        """Yields one outcome for each tile of the parts that has a split; no tile raises."""
        for part in parts:
            for item in self.read(part):
                if isinstance(item, LabelledTile):
                    scene = part.source.scene_id
                    yield self._encode(item.record, item.tile, item.view, item.truth, scene)
                else:
                    yield item

    def read(self, part: ScenePart) -> Iterator[LabelledTile | Reject | Ignored]:
        """Yields the tiles of a part before they are encoded."""
        try:
            scene = self._open(part.source, part.truth)
        except SceneRejected as rejected:
            yield scene_reject(rejected, part.uri)
            return
        except LabelsRejected as rejected:
            yield Reject(part.source.scene_id, part.uri, rejected.reason, rejected.detail)
            return
        splits = part.split_by_key(scene.plan)
        try:
            for tile in read_tiles(scene.view, part.part_of(scene.plan)):
                key = str(tile.key)
                if key not in splits:
                    continue
                if isinstance(tile, TileReject):
                    yield Reject(key, part.uri, tile.reason, tile.detail)
                else:
                    yield self._labelled(tile, part, scene, splits[key])
        except LibraryError as error:
            yield Reject(part.source.scene_id, part.uri, Reason.UNREADABLE, str(error))

    def _labelled(
        self, tile: Tile, part: ScenePart, scene: _Open, split: str
    ) -> LabelledTile | Reject | Ignored:
        if not tile.valid.any():
            return Ignored(NO_DATA)
        if tile.valid_fraction < self._source.tiling.min_valid_fraction:
            return too_little_valid(str(tile.key), part.uri, tile)
        try:
            truth = scene.truth_at(tile.key.window, tile.valid)
        except LabelsRejected as rejected:
            return Reject(str(tile.key), part.uri, rejected.reason, rejected.detail)
        if truth is None:
            return Ignored(NO_TRUTH)
        group = self._source.group_of(part.source.scene_id)
        record = Record(str(tile.key), part.uri, truth.label, truth.labels, split, group)
        return LabelledTile(record, tile, scene.view, truth)

    def _opened(self, named: SceneSource, truth: str | None) -> _Open:
        view = open_scene_view(named, self._source, self._image)
        labels = self._labeller.of_scene(view, truth)
        return _Open(view, plan_of(view, self._source, self._area), labels.truth_at)
