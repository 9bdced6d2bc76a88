"""Chips: rasters that are tiles already."""

from collections import Counter
from collections.abc import Iterator, Sequence

from components.ingest.listing.folders import list_folders
from components.ingest.listing.manifest import MANIFEST_SUFFIXES, list_manifest
from components.ingest.rasters.config import ChipsSource
from components.ingest.rasters.scalings import Scalings
from components.ingest.rasters.split import rejected_areas, splits_of
from components.ingest.rasters.tile_example import TileEncoder
from components.ingest.rasters.views import (
    chip_source,
    open_view,
    open_views,
    scene_reject,
    too_little_valid,
)
from components.ingest.records.outcome import Converted
from components.ingest.records.record import Contents, Record
from components.ingest.records.reject import Reason, Reject
from components.ingest.records.settings import Settings
from components.ingest.records.truth import TileTruth
from components.raster.band_scalings import BandScalings
from components.raster.library_errors import LibraryError, translated
from components.raster.scene.gdal import gdal_env
from components.raster.scene.rejects import SceneRejected
from components.raster.spatial.places import Places, all_places, places_of
from components.raster.spatial.rules import LeftOut
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.reading import read_chip
from components.raster.tiles.tile import Tile, TileReject
from components.raster.tiles.view import View


def name_chips(source: ChipsSource) -> Contents:
    """Lists every chip that a folder or a manifest names; no file is opened."""
    if source.uri.lower().endswith(MANIFEST_SUFFIXES):
        found = list_manifest(source.uri, source.columns, source.encoding)
    else:
        found = list_folders(source.uri)
    found.records = [
        record._replace(group=record.group or source.group_of(record.key))
        for record in found.records
    ]
    return found


def place_chips(found: Contents, source: ChipsSource, settings: Settings) -> Contents:
    """Assigns splits to the chips, from their headers.

    A chip that cannot be opened or lacks a band becomes a reject; one that its split's rule leaves
    out is counted with what is ignored.

    Raises:
        DataError: the split would leak, or chips differ in scale or offset.
        ConfigError: the split's rule cannot decide.
    """
    records, places, rejects, scalings = locate_chips(found.records, source, settings)
    rejects += rejected_areas(settings.split_by)
    splits = splits_of(places, [it.split for it in records], settings)
    placed = Contents(
        rejects=found.rejects + rejects, ignored=Counter(found.ignored), scalings=scalings
    )
    for record, split in zip(records, splits, strict=True):
        if isinstance(split, LeftOut):
            placed.ignored[f"({split})"] += 1
        else:
            placed.records.append(record._replace(split=split))
    return placed


def locate_chips(
    records: Sequence[Record], source: ChipsSource, settings: Settings
) -> tuple[list[Record], Places, list[Reject], BandScalings | None]:
    """Returns the readable chips, their places, the rejects, and the agreed `Scalings`.

    Raises:
        DataError: chips differ in scale or offset.
    """
    kept, parts, rejects = [], [], []
    scalings = Scalings(settings.image)
    sources = [chip_source(record.key, record.uri, source) for record in records]
    views = open_views(sources, source, settings.image)
    # Setting up GDAL for every single projection takes longer than all else.
    with gdal_env(source.uri):
        for record, view in zip(records, views, strict=True):
            if isinstance(view, SceneRejected):
                rejects.append(scene_reject(view, record.uri))
                continue
            try:
                with translated():
                    parts.append(places_of(view, [_whole(view)], group=record.group))
                scalings.add(view)
                kept.append(record)
            except LibraryError as error:
                rejects.append(Reject(record.key, record.uri, Reason.UNREADABLE, str(error)))
    return kept, all_places(parts), rejects, scalings.agreed()


class ChipConverter:
    """Reads and encodes chips.

    Args:
        settings: of ingest.
        source: of chips.
        classes: class names in the order of their indices.
    """

    def __init__(self, settings: Settings, source: ChipsSource, classes: Sequence[str]) -> None:
        self._source = source
        self._image = settings.image
        self._encode = TileEncoder(settings.image, classes, are_files=True)

    def convert(self, records: Sequence[Record]) -> Iterator[Converted | Reject]:
        """Yields one outcome for each of `records`, in their order; no chip raises."""
        for record, read in self.read(records):
            if isinstance(read, Reject):
                yield read
            else:
                view, tile = read
                yield self._encode(record, tile, view, TileTruth(), scene=record.group)

    def read(
        self, records: Sequence[Record]
    ) -> Iterator[tuple[Record, tuple[View, Tile] | Reject]]:
        """Yields each record with its view and pixels, or its reject."""
        for record in records:
            yield record, self._read(record)

    def _read(self, record: Record) -> tuple[View, Tile] | Reject:
        source = chip_source(record.key, record.uri, self._source)
        try:
            view = open_view(source, self._source, self._image)
        except SceneRejected as rejected:
            return scene_reject(rejected, record.uri)
        tile = read_chip(view)
        if isinstance(tile, TileReject):
            return Reject(record.key, record.uri, Reason(tile.reason.value), tile.detail)
        least = self._source.min_valid_fraction
        if tile.valid_fraction < least or not tile.valid_fraction:
            return too_little_valid(record.key, record.uri, tile)
        return view, tile


def _whole(view: View) -> TileKey:
    return TileKey(view.scene.scene_id, Window(0, 0, view.grid.height_px, view.grid.width_px))
