"""Conversion of chips to examples, in a worker."""

from collections.abc import Iterable, Iterator, Sequence

from components.ingest.rasters.chips.config import ChipsSource
from components.ingest.rasters.chips.views import chip_source, open_chip
from components.ingest.rasters.tile_example import TileEncoder
from components.ingest.rasters.views import scene_reject, too_little_valid
from components.ingest.records.outcome import Converted
from components.ingest.records.record import Record
from components.ingest.records.reject import Reject
from components.ingest.records.settings import Settings
from components.raster.scene.rejects import SceneRejected
from components.raster.tiles.reading import read_chip
from components.raster.tiles.tile import Tile, TileReject
from components.raster.tiles.view import View
from components.raster.truth.value import Truth


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
        """Yields one outcome for each of `records`, in order; no chip raises."""
        for record, read in self.read(records):
            if isinstance(read, Reject):
                yield read
            else:
                view, tile = read
                yield self._encode(record, tile, view, Truth(), scene=record.group)

    def read(
        self, records: Iterable[Record]
    ) -> Iterator[tuple[Record, tuple[View, Tile] | Reject]]:
        """Yields each record with its view and pixels, or its reject."""
        for record in records:
            yield record, self._read(record)

    def _read(self, record: Record) -> tuple[View, Tile] | Reject:
        source = chip_source(record.key, record.uri, self._source)
        try:
            view = open_chip(source, self._source, self._image)
        except SceneRejected as rejected:
            return scene_reject(rejected, record.uri)
        tile = read_chip(view)
        if isinstance(tile, TileReject):
            return Reject(record.key, record.uri, tile.reason, tile.detail)
        least = self._source.min_valid_fraction
        if tile.valid_fraction < least or not tile.valid_fraction:
            return too_little_valid(record.key, record.uri, tile)
        return view, tile
