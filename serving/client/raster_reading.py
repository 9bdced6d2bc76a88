"""How the client reads a raster file; nothing heavy is imported here."""

from dataclasses import dataclass, replace
from typing import Literal

from serving.contract.needs import ModelNeeds, TrainedTiles

RASTER_SUFFIXES = (".tif", ".tiff")

_TIFF_MAGICS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # the last two are BigTIFF


@dataclass(frozen=True)
class RasterReading:
    """Which bands a model is sent, and which pixels were measured; as ingest was told it.

    Attributes:
        bands: by name or common name, as the model calls them; empty: all.
        band_names: of each file, in order, where the files do not name their bands.
        nodata: stands for no measurement, whatever the files say.
        valid_when: whether all of the bands or any must be measured.
        dtype: a wider one of the samples; float32, in which models count, takes any.
        values: `scaled` where the model learnt values with scale and offset applied.
        scale: of every band, with offset, whatever the files say.
        offset: as scale.
        page: which page of files that have several, from 1.
        tiles: that the model learnt from: other rasters are refused; None takes them as they are.
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
        """This, with what it leaves open as a model needs it; `any_size` asks for no like tiles."""
        return replace(
            self,
            bands=self.bands or needs.bands,
            values=self.values or needs.values,
            tiles=None if any_size else needs.tiles,
        )


def is_tiff(start: bytes) -> bool:
    """Whether a file that begins so is a TIFF, whatever its name."""
    return start.startswith(_TIFF_MAGICS)
