"""Image files that a command is given, and how to read them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.config.tree import PipelineConfig
    from serving.client.raster_reading import RasterReading


def image_files(paths: tuple[Path, ...], anchors: dict[Path, Path]) -> Iterator[Path]:
    """Yields the given files and every file below a given folder that has an image's suffix.

    Args:
        anchors: filled with each file's path relative to the given folder, or its name.
    """
    from components.ingest.listing.folders import IMAGE_SUFFIXES
    from components.raster.walk import left_out_as, walk
    from serving.client.raster_reading import RASTER_SUFFIXES

    suffixes = {*IMAGE_SUFFIXES, *RASTER_SUFFIXES}
    for path in paths:
        if not path.is_dir():
            anchors[path] = Path(path.name)
            yield path
            continue
        entries = (entry for entry in walk(str(path)) if not entry.is_folder)
        for key in sorted(it.key for it in entries if not left_out_as(it.key, suffixes)):
            anchors[path / key] = Path(key)
            yield path / key


def raster_reading(config: "PipelineConfig | None", given: Mapping[str, Any]) -> "RasterReading":
    """Returns how to read GeoTIFFs: as ingest does by the configuration, with flags on top."""
    from serving.client.raster_reading import RasterReading

    found = RasterReading()
    if config and config.ingest.image.bands:
        source: Any = config.ingest.source  # of rasters, else validation refuses it
        found = RasterReading(
            bands=config.ingest.image.bands or (),
            band_names=source.band_names,
            nodata=source.nodata,
            valid_when=source.valid_when,
            dtype=source.dtype,
            values=config.ingest.image.values,
            scale=source.scale,
            offset=source.offset,
            page=source.page,
        )
    return replace(found, **given)
