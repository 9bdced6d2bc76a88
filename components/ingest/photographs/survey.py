"""Survey of the splits of photographs."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import tee

from components.ingest.photographs.convert import Converter
from components.ingest.photographs.truth import TruthReader
from components.ingest.records.record import Listing, Record
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
    records, ahead = tee(listing.records)
    contents = checksums_of_files(_local_files(ahead, source_uri))
    codes = array("q")
    drawn: list[str | None] = []
    rejected: dict[str, Reject] = {}
    for record, content in zip(records, contents, strict=True):
        codes.append(hash(content))
        if content.startswith("!"):
            detail = content[1:]
            rejected[record.key] = Reject(record.key, record.uri, Reason.UNREADABLE, detail)
            drawn.append(None)
        else:
            given = record.split or record.drawn
            drawn.append(split_of(content, record.group, given, settings.split))
    converter = Converter(settings, listing.classes, truth_of)
    copies = rejected_copies(listing.records, codes, converter.convert)
    if copies:
        keys = (record.key for record in listing.records)
        pairs = zip(keys, drawn, strict=True)
        drawn = [None if key in copies else split for key, split in pairs]
    rejected |= copies
    splits = tuple(drawn)
    classes = count_by_class((record.names for record in listing.records), splits)
    counts = dict(Counter(split for split in splits if split is not None))
    report = SplitReport(counts, classes, {}, Nearest(float("inf")), Contacts())
    return Survey(report, all_places(()), splits, (*listing.rejects, *rejected.values()))


def _local_files(records: Iterable[Record], source_uri: str) -> Iterator[str]:
    for record in records:
        if is_remote(record.uri):
            raise ConfigError(
                f"{source_uri}: photographs are split by their content, which is not fetched "
                "for a look. Run ingest; its summary has the counts."
            )
        yield record.uri
