"""Family of chips."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from components.ingest.files.layout import in_writing_order, records_of
from components.ingest.files.sides import side_finder
from components.ingest.listing.records import (
    RecordFamily,
    fingerprint_input_of_records,
    listing_of,
    of_classes,
)
from components.ingest.rasters.chips.config import ChipsSource
from components.ingest.rasters.chips.convert import ChipConverter
from components.ingest.rasters.chips.find import name_chips, place_chips
from components.ingest.rasters.chips.survey import survey_chips
from components.ingest.records.family import Convert, FingerprintInput
from components.ingest.records.outcome import DecodedExample
from components.ingest.records.record import Contents, Listing
from components.ingest.records.reject import Reject
from components.ingest.records.settings import Settings
from components.ingest.records.survey import Survey
from components.raster.scene.calibration import Calibration
from components.raster.truth.value import Truth


class Chips(RecordFamily):
    """A source of chips: a `Family` whose items are records of single rasters.

    Args:
        source: configuration of the source.
    """

    def __init__(self, source: ChipsSource) -> None:
        self.source = source
        self.band_names = source.band_names

    def find(self) -> Contents:
        """Lists the chips of the folder or manifest."""
        return name_chips(self.source)

    def files_read_to_find(self) -> Sequence[str]:
        """Returns nothing: only names decide, and a manifest's rows are fingerprinted."""
        return ()

    def fingerprint_input(self, found: Contents, split_files: Sequence[str]) -> FingerprintInput:
        """Returns the fingerprint's input: each chip with its side files and metadata."""
        return fingerprint_input_of_records(found, split_files, sides_of=_sides())

    def listing(self, settings: Settings, found: Contents) -> Listing:
        """Opens headers, and assigns a split to each chip by its location."""
        known, unknown = of_classes(found.records, settings.classes)
        found = replace(found, records=known, rejects=[*found.rejects, *unknown])
        placed = place_chips(found, self.source, settings)
        return listing_of(placed, settings, self.source.uri)

    def converter(self, settings: Settings, classes: Sequence[str]) -> Convert:
        """Returns the conversion of lines of records."""
        converter = ChipConverter(settings, self.source, classes)
        return lambda line, note=None: converter.convert(records_of(line))

    def survey(self, settings: Settings) -> Survey:
        """Reads headers, and files to detect copies."""
        return survey_chips(self.source, settings, self.find())

    def samples(
        self, settings: Settings, listing: Listing, count: int
    ) -> Iterator[DecodedExample | Reject]:
        """Yields every example and reject."""
        records = in_writing_order(listing.records)
        for record, read in ChipConverter(settings, self.source, listing.classes).read(records):
            if isinstance(read, Reject):
                yield read
            else:
                _, tile = read
                yield DecodedExample(record, tile.pixels, tile.valid, record.truth_with(Truth()))


def _sides() -> Callable[[str], list[str]]:
    """Returns a function that finds the side files of a chip and its scale and offset metadata."""
    sides_of, calibration = side_finder(), Calibration()
    return lambda path: [*sides_of(path), *calibration.files(path)]
