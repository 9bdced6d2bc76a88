"""Survey of the splits of tiles."""

from collections.abc import Sequence
from dataclasses import replace

from components.ingest.rasters.split import Split
from components.ingest.records.reject import Reject, in_words
from components.ingest.records.survey import Survey, count_by_class
from components.raster.errors import DataError
from components.raster.spatial.places import TileFootprints
from components.raster.spatial.report import split_report
from components.raster.spatial.rules import Assignment, LeftOut


def survey_places(
    places: TileFootprints,
    found: Sequence[Split],
    names: Sequence[tuple[str, ...]],
    rejects: Sequence[Reject],
) -> Survey:
    """Reports on tiles, given the location, split and classes of each."""
    splits = tuple(None if isinstance(it, LeftOut) else it for it in found)
    reasons = tuple(it if isinstance(it, LeftOut) else None for it in found)
    report = split_report(places, Assignment(splits, reasons))
    report = replace(report, classes=count_by_class(names, splits))
    return Survey(report, places, splits, tuple(rejects))


def require_places(places: TileFootprints, source_uri: str, rejects: Sequence[Reject]) -> None:
    """Raises DataError if a source has no usable raster."""
    if not len(places):
        raise DataError(f"no raster in {source_uri} can be used: {in_words(rejects)}")
