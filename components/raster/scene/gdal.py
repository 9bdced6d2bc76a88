"""Opening rasters through GDAL, wherever they are, within known limits."""

import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader

from components.raster.library_errors import LibraryError, translated
from components.raster.location import is_remote

#: Formats that are opened. VRT is not one of them: it can name any other file on the machine.
DRIVERS = ("GTiff", "JP2OpenJPEG", "PNG", "JPEG", "HFA")
SUFFIXES = (".tif", ".tiff", ".jp2", ".img")
REMOTE_SCHEMES = ("http", "https", "s3", "gs")

#: Blocks are read once, whole, so GDAL's own cache of them only has to hold a few.
BLOCK_CACHE_MB = 32

_LOCAL_OPTIONS = {
    "GDAL_CACHEMAX": BLOCK_CACHE_MB,
    "GDAL_VRT_ENABLE_PYTHON": "NO",
}
# One listing of a bucket, or a guess at each side file, costs more than the header of a scene.
_REMOTE_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_CONNECTTIMEOUT": 20,
    "GDAL_HTTP_LOW_SPEED_TIME": 30,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1024,
}


def gdal_env(path: str, threads: int = 1) -> rasterio.Env:
    """The settings under which a raster is opened and read; enter it in every thread that reads.

    Args:
        path: remote ones have settings of their own.
        threads: that GDAL may use to decode the blocks of one window.
    """
    options = _LOCAL_OPTIONS | (_REMOTE_OPTIONS if is_remote(path) else {})
    return rasterio.Env(**options, GDAL_NUM_THREADS=threads)


@contextmanager
def opened(path: str) -> Iterator[DatasetReader]:
    """An open raster. Raises LibraryError when it cannot be opened, or read within."""
    with reading(path), gdal_env(path), open_raster(path) as dataset:
        yield dataset


def reading(path: str) -> AbstractContextManager[None]:
    """Within, what a library raises becomes a LibraryError that names the file."""
    return translated(lambda why: LibraryError(f"{path} cannot be read: {why}"))


def open_raster(path: str) -> DatasetReader:
    """Opens a raster in a format of `DRIVERS`; the caller has entered `gdal_env` and closes it."""
    if not is_remote(path) and os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path} is no regular file")  # a named pipe would block for ever
    with warnings.catch_warnings():
        # A raster without a place is an answer for `probe`, not a warning on the terminal.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return DatasetReader(path, driver=list(DRIVERS), sharing=False)


def missing_bytes(dataset: DatasetReader, path: str) -> int:
    """How many bytes a local TIFF falls short of what its own index of blocks needs.

    A file cut off in the middle opens like a whole one when its header comes first, as in every
    COG. 0 for a whole file, and for remote ones (their index is read when they are).
    """
    if dataset.driver != "GTiff" or is_remote(path) or not os.path.isfile(path):
        return 0
    size, needed = os.path.getsize(path), 0
    # A pixel-interleaved file keeps one index for all bands.
    by_band = dataset.interleaving is not None and dataset.interleaving.name == "band"
    for band in dataset.indexes if by_band else (1,):
        for (row, col), _ in dataset.block_windows(band):
            offset = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
            length = dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
            if offset and length:
                needed = max(needed, int(offset) + int(length))
    return max(needed - size, 0)
