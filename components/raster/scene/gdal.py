"""Opening of rasters through GDAL, local or remote, within fixed limits.

rasterio is imported with the first raster: with its S3 client it takes a quarter of a second, which
commands without rasters save.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from components.raster.library_errors import LibraryError, translated
from components.raster.location import is_remote
from components.raster.scene.grid import Grid, crs_text

if TYPE_CHECKING:
    from rasterio import Env
    from rasterio.io import DatasetReader

#: Accepted formats. VRT is excluded: it can name any other file on the machine.
DRIVERS = ("GTiff", "JP2OpenJPEG", "PNG", "JPEG", "HFA")
SUFFIXES = (".tif", ".tiff", ".jp2", ".img")
REMOTE_SCHEMES = ("http", "https", "s3", "gs")

#: Signatures of NetCDF, HDF5 (on which NetCDF 4 is based) and HDF4 files.
_CONTAINERS = (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF\r\n\x1a\n", b"\x0e\x03\x13\x01")
#: Most pages and rasters that a message names.
_SHOWN = 5

# The size of GDAL's own cache of decoded blocks is in bytes, for the whole process. Blocks are read
# once, whole, so it needs to hold only those that the threads read.
_LOCAL_OPTIONS = {"GDAL_VRT_ENABLE_PYTHON": "NO", "GDAL_CACHEMAX": 2**25}
# Where windows share blocks, it must hold a row of blocks of each band in each thread: those of
# Sentinel-2's bands take 2 MB each.
_RANDOM_OPTIONS = {"GDAL_CACHEMAX": 2**27}
#: Largest compressed strip that is decoded whole, in each thread.
_MOST_STRIP_BYTES = 2**28
# Listing a bucket, or probing for each side file, costs more than reading a scene's header.
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


def gdal_env(path: str, threads: int = 1, *, random_access: bool = False) -> "Env":
    """Returns the settings for opening and reading a raster; enter them in every thread that reads.

    Args:
        path: of the raster; remote ones have other settings.
        threads: that GDAL may use to decode the blocks of one window.
        random_access: windows share blocks or come in any order, such as those of the warper; GDAL
            then keeps more blocks.
    """
    from rasterio import Env

    options = _LOCAL_OPTIONS | (_REMOTE_OPTIONS if is_remote(path) else {})
    options |= _RANDOM_OPTIONS if random_access else {}
    return Env(**options, GDAL_NUM_THREADS=threads)


@contextmanager
def opened(
    path: str, page: int | None = None, *, random_access: bool = False
) -> Iterator["DatasetReader"]:
    """Opens a raster. Raises LibraryError if it cannot be opened, or read in the block."""
    with gdal_env(path, random_access=random_access):
        with translated(lambda why: LibraryError(f"{path} cannot be opened: {why}")):
            dataset = open_raster(path, page, random_access=random_access)
        with reading(path), dataset:
            yield dataset


def reading(path: str) -> AbstractContextManager[None]:
    """Turns a library's exceptions in the block into a LibraryError that names the file."""
    return translated(lambda why: LibraryError(f"{path} cannot be read: {why}"))


def grid_of(dataset: "DatasetReader") -> Grid:
    """Returns the grid of a raster as it is stored."""
    return Grid(dataset.height, dataset.width, dataset.transform, crs_text(dataset.crs))


def open_raster(
    path: str, page: int | None = None, *, random_access: bool = False
) -> "DatasetReader":
    """Opens a raster in a format of `DRIVERS`; the caller has entered `gdal_env` and closes it.

    Args:
        path: a local path or an https, s3 or gs URI.
        page: of a TIFF file that has several, from 1.
        random_access: as in `gdal_env`.

    Raises:
        LibraryError: with `random_access`, it is one compressed strip too large to decode whole.
    """
    from rasterio.errors import NotGeoreferencedWarning

    if not is_remote(path) and os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path} is not a regular file")  # a named pipe would block
    with warnings.catch_warnings():
        # A raster without a georeference is for `probe` to report, not a warning on the terminal.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset, name = _open(path), path
        if page is not None and page <= len(dataset.subdatasets):
            with dataset:
                name = dataset.subdatasets[page - 1]
            dataset = _open(name)
        return _in_any_order(dataset, name) if random_access else dataset


def _in_any_order(dataset: "DatasetReader", name: str) -> "DatasetReader":
    """Opens a TIFF of a single compressed strip as one block; returns any other as it is.

    GDAL divides such a strip into lines, which can only be read downwards.
    """
    import numpy as np
    from rasterio import Env

    if dataset.driver != "GTiff" or dataset.compression is None or dataset.block_shapes[0][0] > 1:
        return dataset
    dataset.close()
    with Env(GDAL_ENABLE_TIFF_SPLIT="NO"):
        dataset = _open(name)
    rows, cols = dataset.block_shapes[0]
    bands = 1 if _is_by_band(dataset) else dataset.count
    size = rows * cols * bands * np.dtype(dataset.dtypes[0]).itemsize
    if size > _MOST_STRIP_BYTES:
        dataset.close()
        raise LibraryError(
            f"it is one strip of {size / 1e6:.0f} MB, which would be decoded whole. Rewrite it as "
            "a tiled GeoTIFF (gdal_translate -of COG)."
        )
    return dataset


def _is_by_band(dataset: "DatasetReader") -> bool:
    """Checks whether a file stores its bands one after the other."""
    return dataset.interleaving is not None and dataset.interleaving.name == "band"


def _open(name: str) -> "DatasetReader":
    from rasterio.errors import RasterioError
    from rasterio.io import DatasetReader

    try:
        return DatasetReader(name, driver=list(DRIVERS), sharing=False)
    except RasterioError as error:
        if rasters := _rasters_within(name):
            raise LibraryError(
                "NetCDF and HDF files are not read. Write the raster that counts as GeoTIFF "
                f"(gdal_translate -of COG NAME out.tif); it holds {listed(rasters)}"
            ) from error
        raise


def pages_of(dataset: "DatasetReader") -> tuple[str, ...]:
    """Returns GDAL's description of each page of a multi-page TIFF; empty for one page.

    Overviews and masks, although stored as pages, are excluded.
    """
    tags = dataset.tags(ns="SUBDATASETS")
    return tuple(tags[f"SUBDATASET_{n}_DESC"] for n in range(1, len(dataset.subdatasets) + 1))


def page_count(path: str) -> int:
    """Returns the number of a file's pages; 1 for a file that cannot be opened as TIFF."""
    try:
        with opened(path) as dataset:
            return max(len(dataset.subdatasets), 1)
    except LibraryError:
        return 1


def listed(names: Sequence[str]) -> str:
    """Formats the first few names and the number of the others."""
    rest = len(names) - _SHOWN
    return ", ".join([*names[:_SHOWN], *([f"and {rest} more"] if rest > 0 else [])])


def _rasters_within(path: str) -> tuple[str, ...]:
    """Returns GDAL's names of rasters in a local NetCDF or HDF file (not opened); else nothing."""
    from rasterio.errors import RasterioError
    from rasterio.io import DatasetReader

    try:
        with open(path, "rb") as file:
            if not file.read(8).startswith(_CONTAINERS):
                return ()
        with DatasetReader(path, driver=["netCDF", "HDF5", "HDF4"]) as dataset:
            return tuple(dataset.subdatasets) or (path,)
    except (RasterioError, OSError):
        return ()


def missing_bytes(dataset: "DatasetReader", path: str) -> int:
    """Returns the number of bytes by which a local TIFF is shorter than its block index requires.

    A truncated file opens like a whole one if its header comes first, as in every COG. 0 for a
    whole file, and for remote ones, whose index is only read with their pixels.
    """
    if dataset.driver != "GTiff" or is_remote(path) or not os.path.isfile(path):
        return 0
    size, needed = os.path.getsize(path), 0
    # A pixel-interleaved file keeps one index for all bands.
    for band in dataset.indexes if _is_by_band(dataset) else (1,):
        for (row, col), _ in dataset.block_windows(band):
            offset = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
            length = dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
            if offset and length:
                needed = max(needed, int(offset) + int(length))
    return max(needed - size, 0)
