"""Image files given to a command, and how to read them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.config.tree import PipelineConfig
    from serving.client.raster_reading import RasterReading


class OutputPaths:
    """Output paths of the answers, unique for each file.

    A path is the one below the given folder, or a given file's name, without the suffix; if
    another file has it, a number is appended.
    """

    def __init__(self) -> None:
        self._places: dict[Path, Path] = {}
        self._taken: set[Path] = set()

    def __getitem__(self, path: Path) -> Path:
        return self._places[path]

    def add(self, path: Path, relative: Path) -> None:
        """Chooses the output path of a file from its path relative to the given one."""
        if path in self._places:
            return
        plain = relative.with_suffix("")
        numbered = (plain.with_name(f"{plain.name}-{number}") for number in count(2))
        place = next(it for it in chain([plain], numbered) if it not in self._taken)
        self._places[path] = place
        self._taken.add(place)


def image_files(paths: tuple[Path, ...], outputs: OutputPaths) -> Iterator[Path]:
    """Yields the given files and every file below a given folder that has an image's suffix.

    Args:
        outputs: receives each file that is yielded.
    """
    from components.ingest.listing.folders import IMAGE_SUFFIXES
    from components.raster.walk import left_out_as, walk
    from serving.client.raster_reading import RASTER_SUFFIXES

    suffixes = {*IMAGE_SUFFIXES, *RASTER_SUFFIXES}
    for path in paths:
        if not path.is_dir():
            outputs.add(path, Path(path.name))
            yield path
            continue
        entries = (entry for entry in walk(str(path)) if not entry.is_folder)
        for key in sorted(it.key for it in entries if not left_out_as(it.key, suffixes)):
            outputs.add(path / key, Path(key))
            yield path / key


def raster_reading(config: "PipelineConfig | None", given: Mapping[str, Any]) -> "RasterReading":
    """Returns how to read GeoTIFFs: the configuration's ingest settings, overridden by flags."""
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
