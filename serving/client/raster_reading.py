"""Options for reading a raster file in the client (bands, mask, samples); imports nothing heavy."""

from dataclasses import dataclass, replace
from typing import Literal

from serving.contract.needs import ModelNeeds, TrainedTiles

RASTER_SUFFIXES = (".tif", ".tiff")

_TIFF_MAGICS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # the last two are BigTIFF


@dataclass(frozen=True)
class RasterReading:
    """Selection of bands and of valid pixels to send to a model; the same options as ingest's.

    Attributes:
        bands: by name or common name, as in the model's contract; empty: all.
        band_names: of each file, in order, if the files do not name their bands.
        nodata: value of pixels without data; overrides that of the files.
        valid_when: whether a pixel is valid if all of its bands are, or if any is.
        dtype: a wider sample type; float32, in which models compute, takes any.
        values: `scaled` if the model was trained on values with scale and offset applied.
        scale: of every band, with offset; overrides that of the files.
        offset: like scale.
        page: the page of files that have several, from 1.
        tiles: the model's training tiles; rasters that differ are refused. None: no check.

    >>> needs = ModelNeeds(64, 64, "stretch", bands=("red", "nir08"), values="scaled")
    >>> reading = RasterReading(nodata=0).meeting(needs)
    >>> reading.bands, reading.nodata, reading.values
    (('red', 'nir08'), 0, 'scaled')
    """

    bands: tuple[str, ...] = ()
    band_names: tuple[str, ...] = ()
    nodata: float | None = None
    valid_when: Literal["all", "any"] = "all"
    dtype: str | None = None
    values: Literal["stored", "scaled"] | None = None
    scale: float | None = None
    offset: float | None = None
    page: int | None = None
    tiles: TrainedTiles | None = None

    def meeting(self, needs: ModelNeeds, any_size: bool = False) -> "RasterReading":
        """Fills unset options from the model's needs; `any_size` skips the tile check."""
        return replace(
            self,
            bands=self.bands or needs.bands,
            values=self.values or needs.values,
            tiles=None if any_size else needs.tiles,
        )


def is_tiff(start: bytes) -> bool:
    """Checks for a TIFF signature in a file's first bytes; ignores the file name.

    >>> is_tiff(b"II*" + bytes(5)), is_tiff(b"GIF89a")
    (True, False)
    """
    return start.startswith(_TIFF_MAGICS)
