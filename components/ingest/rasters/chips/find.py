"""Chips named by a source, and their locations and splits, from their headers."""

from collections import Counter
from collections.abc import Sequence

from components.ingest.listing.corrections import corrected
from components.ingest.listing.folders import list_files, list_folders
from components.ingest.listing.manifest import list_manifest
from components.ingest.rasters.chips.config import ChipsSource
from components.ingest.rasters.chips.views import chip_source, open_chips
from components.ingest.rasters.scalings import Scalings
from components.ingest.rasters.split import rejected_areas, splits_of, train_to_test_m
from components.ingest.rasters.views import scene_reject
from components.ingest.records.record import Contents, Record, Records
from components.ingest.records.reject import Reject
from components.ingest.records.settings import Settings
from components.raster.band_scalings import BandScalings
from components.raster.library_errors import LibraryError, translated
from components.raster.reasons import Reason
from components.raster.scene.gdal import gdal_env
from components.raster.scene.rejects import SceneRejected
from components.raster.spatial.places import TileFootprints, all_places, places_of
from components.raster.spatial.rules import LeftOut
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.view import View


def name_chips(source: ChipsSource) -> Contents:
    """Lists every chip that a folder or a manifest names; no file is opened."""
    if source.in_manifest:
        found = list_manifest(source.uri, source.columns, source.encoding)
    elif source.has_truth:
        found = list_folders(source.uri)
    else:
        found = list_files(source.uri)
    found.records = Records(
        record._replace(group=record.group or source.group_of(record.key))
        for record in found.records
    )
    return corrected(found, source.corrections)


def place_chips(found: Contents, source: ChipsSource, settings: Settings) -> Contents:
    """Assigns splits to the chips, from their headers.

    A chip that cannot be opened or lacks a band becomes a reject; one that the split's rule leaves
    out is counted as ignored.

    Raises:
        DataError: the split would leak, or chips differ in scale or offset.
        ConfigError: the split's rule cannot decide.
    """
    records, places, rejects, scalings = locate_chips(found.records, source, settings)
    rejects += rejected_areas(settings.split_by)
    splits = splits_of(places, [it.split for it in records], settings)
    placed = Contents(
        rejects=found.rejects + rejects,
        ignored=Counter(found.ignored),
        scalings=scalings,
        train_to_test_m=train_to_test_m(places, splits),
    )
    for record, split in zip(records, splits, strict=True):
        if isinstance(split, LeftOut):
            placed.ignored[f"({split})"] += 1
        else:
            placed.records.append(record._replace(split=split))
    return placed


def locate_chips(
    records: Sequence[Record], source: ChipsSource, settings: Settings
) -> tuple[list[Record], TileFootprints, list[Reject], BandScalings | None]:
    """Returns the readable chips, their locations, the rejects, and the agreed `Scalings`.

    Raises:
        DataError: chips differ in scale or offset.
    """
    kept, parts, rejects = [], [], []
    scalings = Scalings(settings.image)
    chips = [chip_source(record.key, record.uri, source) for record in records]
    views = open_chips(chips, source, settings.image)
    # Setting up GDAL for every single projection would take longer than everything else.
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


def _whole(view: View) -> TileKey:
    return TileKey(view.scene.scene_id, Window(0, 0, view.grid.height_px, view.grid.width_px))
