"""Survey of the splits of photographs."""

from collections import Counter

from components.ingest.photographs.convert import Converter
from components.ingest.photographs.truth import TruthReader
from components.ingest.records.record import Listing
from components.ingest.records.reject import Reject
from components.ingest.records.settings import Settings
from components.ingest.records.survey import Survey, count_by_class, rejected_copies
from components.raster.errors import ConfigError
from components.raster.fingerprint import checksums_of_files
from components.raster.location import is_remote
from components.raster.reasons import Reason
from components.raster.spatial.distance import Contacts, Nearest
from components.raster.spatial.places import all_places
from components.raster.spatial.report import SplitReport
from components.raster.split import split_of


def survey_photographs(
    source_uri: str, settings: Settings, listing: Listing, truth_of: TruthReader
) -> Survey:
    """Reads the files of photographs for copies, and counts the splits.

    Raises:
        ConfigError: some are remote.
    """
    records = listing.records
    if any(is_remote(record.uri) for record in records):
        raise ConfigError(
            f"{source_uri}: photographs are split by their content, which is not fetched "
            "for a look. Run ingest; its summary has the counts."
        )
    contents = checksums_of_files([record.uri for record in records])
    rejected = {
        record.key: Reject(record.key, record.uri, Reason.UNREADABLE, content[1:])
        for content, record in zip(contents, records, strict=True)
        if content.startswith("!")
    }
    converter = Converter(settings, listing.classes, truth_of)
    rejected |= rejected_copies(records, contents, converter.convert)
    splits = tuple(
        None
        if record.key in rejected
        else split_of(content, record.group, record.split, settings.split)
        for content, record in zip(contents, records, strict=True)
    )
    classes = count_by_class([record.names for record in records], splits)
    counts = dict(Counter(split for split in splits if split is not None))
    report = SplitReport(counts, classes, {}, Nearest(float("inf")), Contacts())
    return Survey(report, all_places(()), splits, (*listing.rejects, *rejected.values()))
