"""Survey of the splits of chips."""

from array import array

from components.ingest.listing.records import of_classes, seen_classes
from components.ingest.rasters.chips.config import ChipsSource
from components.ingest.rasters.chips.convert import ChipConverter
from components.ingest.rasters.chips.find import locate_chips
from components.ingest.rasters.split import rejected_areas, splits_of
from components.ingest.rasters.survey import require_places, survey_places
from components.ingest.records.record import Contents
from components.ingest.records.settings import Settings
from components.ingest.records.survey import Survey, rejected_copies
from components.raster.fingerprint import checksums_of_files
from components.raster.location import is_remote
from components.raster.spatial.rules import LeftOut


def survey_chips(source: ChipsSource, settings: Settings, contents: Contents) -> Survey:
    """Surveys chips from their headers, without copies among those on this machine.

    Raises:
        DataError: no chip can be used, or the split would leak.
        ConfigError: the split's rule cannot decide.
    """
    known, unknown = of_classes(contents.records, settings.classes)
    records, places, unusable, _ = locate_chips(known, source, settings)
    rejects = [*contents.rejects, *unknown, *unusable, *rejected_areas(settings.split_by)]
    require_places(places, source.uri, rejects)
    found = splits_of(places, [it.split for it in records], settings)
    local = [
        record._replace(split=split)
        for record, split in zip(records, found, strict=True)
        if not (isinstance(split, LeftOut) or is_remote(record.uri))
    ]
    classes = settings.classes or seen_classes((it.label, it.labels) for it in records)
    converter = ChipConverter(settings, source, classes)
    codes = array("q", map(hash, checksums_of_files(record.uri for record in local)))
    copies = rejected_copies(local, codes, converter.convert)
    kept = [at for at, record in enumerate(records) if record.key not in copies]
    return survey_places(
        places.take(kept),
        [found[at] for at in kept],
        [records[at].names for at in kept],
        (*rejects, *copies.values()),
    )
