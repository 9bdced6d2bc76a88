"""Families of scenes, which differ in how they find their scenes."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

from components.ingest.rasters.scenes.areas import plan_of, read_area
from components.ingest.rasters.scenes.config import ScenesSource, TiledSource
from components.ingest.rasters.scenes.convert import LabelledTile, SceneConverter
from components.ingest.rasters.scenes.fingerprint import fingerprint_input_of_scenes
from components.ingest.rasters.scenes.labels.kinds import kind_of
from components.ingest.rasters.scenes.named import NamedScenes, find_in_folder, name_scenes
from components.ingest.rasters.scenes.plan import list_scenes, plan_scenes
from components.ingest.rasters.scenes.survey import survey_scenes
from components.ingest.rasters.scenes.views import open_scene_view
from components.ingest.records.family import Convert, FingerprintInput, WholeScenes
from components.ingest.records.outcome import DecodedExample
from components.ingest.records.record import Listing
from components.ingest.records.reject import Reject
from components.ingest.records.scene_part import part_lines, parts_of
from components.ingest.records.settings import Settings
from components.ingest.records.survey import Survey
from components.raster.errors import ConfigError
from components.raster.scene.scene import FoundScenes
from components.raster.tiles.key import TileKey
from components.raster.tiles.view import View

_SHOWN_IDS = 20

Options = TypeVar("Options", bound=TiledSource)


class TiledScenes(ABC, Generic[Options]):
    """A source of scenes: a `Family` whose items are parts of scenes.

    Args:
        source: configuration of the source.
        uri: the folder or catalogue.
    """

    def __init__(self, source: Options) -> None:
        self.source = source

    @property
    @abstractmethod
    def uri(self) -> str:
        """Folder or catalogue of the scenes."""

    @abstractmethod
    def scenes(self) -> FoundScenes:
        """Finds the scenes; none is opened."""

    def find(self) -> NamedScenes:
        """Lists the scenes, each with its mask or boxes."""
        return name_scenes(self.source, self.uri, self.scenes())

    def files_read_to_find(self) -> Sequence[str]:
        """Lists the files of boxes, which name scenes."""
        return kind_of(self.source.labels).files_read_to_pair()

    def fingerprint_input(self, found: NamedScenes, split_files: Sequence[str]) -> FingerprintInput:
        """Returns the fingerprint's input: each scene, and the other files."""
        return fingerprint_input_of_scenes(self.source, found, split_files)

    def whole_scenes(self, found: NamedScenes) -> WholeScenes:
        """Returns the scenes."""
        return WholeScenes(found.sources, found.rejects, Counter(found.ignored))

    def listing(self, settings: Settings, found: NamedScenes) -> Listing:
        """Opens headers, plans tiles, and assigns a split to each by its location."""
        return list_scenes(settings, self.source, self.uri, found)

    def lines(self, listing: Listing, shards: int) -> Iterator[bytes]:
        """Serializes a listing: one line of JSON for each shard, with whole parts."""
        return part_lines(listing.parts, min(shards, len(listing.parts)))

    def uri_of_keys(self, line: bytes) -> Callable[[str], str]:
        """Returns a function from a tile's key to the first file of its scene."""
        scenes = {part.source.scene_id: part.uri for part in parts_of(line)}
        return lambda key: scenes[TileKey.parse(key).scene_id]

    def converter(self, settings: Settings, classes: Sequence[str]) -> Convert:
        """Returns the conversion of lines of parts."""
        converter = SceneConverter(settings, self.source, classes)
        return lambda line, note=None: converter.convert(parts_of(line))

    def survey(self, settings: Settings) -> Survey:
        """Reads headers and labels, but no pixels of scenes."""
        planned = plan_scenes(settings, self.source, self.find())
        return survey_scenes(self.source, self.uri, settings, planned)

    def samples(
        self, settings: Settings, listing: Listing, count: int
    ) -> Iterator[DecodedExample | Reject]:
        """Yields some tiles of every part, so that every scene is shown."""
        scenes = SceneConverter(settings, self.source, listing.classes)
        each = -(-count // len(listing.parts)) if listing.parts else 0
        for part in listing.parts:
            read = (item for item in scenes.read(part) if isinstance(item, LabelledTile | Reject))
            for item in islice(read, each):
                if isinstance(item, Reject):
                    yield item
                else:
                    yield DecodedExample(item.record, item.tile.pixels, item.tile.valid, item.truth)

    def tiles_of(
        self, settings: Settings, scene_id: str | None
    ) -> tuple[View, list[TileKey], list[TileKey]]:
        """Returns a scene's view, its tiles with a split, and its tiles without one.

        Raises:
            ConfigError: there is no such scene.
        """
        listing = self.listing(settings, self.find())
        parts = sorted(listing.parts, key=lambda part: part.source.scene_id)
        ids = list(dict.fromkeys(part.source.scene_id for part in parts))
        chosen = scene_id or ids[0]
        if chosen not in ids:
            raise ConfigError(f"no scene {chosen!r}; there are {', '.join(ids[:_SHOWN_IDS])}")
        own = [part for part in parts if part.source.scene_id == chosen]
        view = open_scene_view(own[0].source, self.source, settings.image)
        plan = plan_of(view, self.source, read_area(self.source))
        kept = {key for part in own for key in part.split_by_key(plan)}
        tiles = list(plan.keys())
        left_out = [key for key in tiles if str(key) not in kept]
        return view, [key for key in tiles if str(key) in kept], left_out


class FolderScenes(TiledScenes[ScenesSource]):
    """Scenes in a folder, or one file."""

    @property
    def uri(self) -> str:
        """Folder or file."""
        return self.source.uri

    def scenes(self) -> FoundScenes:
        """Finds the scenes of the folder."""
        return find_in_folder(self.source)
