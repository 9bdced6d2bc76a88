"""Scenes as plain values, cheap to make, to compare and to send to a worker."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from affine import Affine

from components.raster.band_names import position_of
from components.raster.reasons import Reason
from components.raster.scaling import UNSCALED, Scaling
from components.raster.scene.grid import Grid
from components.raster.scene.orientation import UPRIGHT, Orientation
from components.raster.scene.rejects import SceneRejected

#: Name of the only band of a raster that does not name it.
ONLY_BAND = "B1"


@dataclass(frozen=True)
class BandFile:
    """A file named by a source, before it is opened.

    Attributes:
        path: a local path or an https, s3 or gs URI.
        band_names: names of its bands in order; empty: from the file.
        common_names: names shared by sensors (`red`, `nir08`), in the same order; may be empty.
        scalings: scale and offset of its bands in order, or one for all of them, if metadata beside
            the file states them; empty: from the file.
        aliases: other names of the band in a file with a single one.
    """

    path: str
    band_names: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()
    scalings: tuple[Scaling, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class SceneSource:
    """A scene named by a folder or a catalogue: its files, and properties known without them.

    Attributes:
        scene_id: unique among the scenes of a run; part of every tile's key.
        acquired: ISO 8601 date or time, if the source states it.
    """

    scene_id: str
    files: tuple[BandFile, ...]
    acquired: str | None = None
    sensor: str | None = None
    cloud_cover_percent: float | None = None


@dataclass(frozen=True)
class FoundScenes:
    """Scenes named by a folder or a catalogue.

    Attributes:
        sources: the scenes, over which the object iterates.
        rejects: files and items that could not become one.
        ignored: number of files that are not rasters, by suffix or reason.
    """

    sources: tuple[SceneSource, ...]
    rejects: tuple[SceneRejected, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[SceneSource]:
        return iter(self.sources)


class MaskBand(StrEnum):
    """Kinds of masks that a file has beside nodata values."""

    NONE = "none"
    DATASET = "dataset"
    BAND = "band"


@dataclass(frozen=True)
class RasterFile:
    """One file as described by its header.

    Attributes:
        grid: of its upright pixels.
        block_shape: (rows, columns) of the grid that are decoded at once.
        alpha_index: the band (from 1) that marks valid pixels, if there is one.
        page: of a TIFF file that has several, from 1.
        overviews: factors by which its overviews are reduced.
        orientation: of the stored pixels.
    """

    path: str
    grid: Grid
    dtype: str
    count: int
    block_shape: tuple[int, int]
    mask_band: MaskBand
    alpha_index: int | None
    overviews: tuple[int, ...]
    orientation: Orientation = UPRIGHT
    page: int | None = None

    @property
    def to_stored(self) -> Affine:
        """Maps (column, row) of the grid to (column, row) of the file."""
        return self.orientation.to_stored(self.grid.height_px, self.grid.width_px)

    @property
    def block_shift(self) -> tuple[int, int]:
        """(rows, columns) of the first blocks that lie before the grid's own first row and column.

        Blocks are counted from the file's own corner. If that is not the grid's, the grid begins
        with the rest of the last block.
        """
        rows, cols = self.block_shape
        reversed_rows, reversed_cols = (
            self.orientation.rows_reversed,
            self.orientation.cols_reversed,
        )
        return (
            -self.grid.height_px % rows if reversed_rows and rows < self.grid.height_px else 0,
            -self.grid.width_px % cols if reversed_cols and cols < self.grid.width_px else 0,
        )


@dataclass(frozen=True)
class Band:
    """One band of a scene: its storage and its names.

    Attributes:
        name: `#2` if only its position is known.
        index: position in its file, counted from 1 as GDAL does.
        nodata: the stored number that means no data; may be NaN.
        scaling: from stored numbers to values.
    """

    name: str
    file: RasterFile
    index: int
    nodata: float | None = None
    common_name: str | None = None
    scaling: Scaling = UNSCALED
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """One georeferenced acquisition, of which no pixel has been read.

    Attributes:
        acquired: ISO 8601 date or time of the acquisition; None if unknown.
        has_map: whether there is a CRS; without one its tiles have only pixel coordinates.
    """

    scene_id: str
    bands: tuple[Band, ...]
    acquired: str | None = None
    sensor: str | None = None
    cloud_cover_percent: float | None = None

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of all bands, in order."""
        return tuple(band.name for band in self.bands)

    @property
    def has_map(self) -> bool:
        """True if every band has a place on a map."""
        return all(band.file.grid.crs is not None for band in self.bands)

    def select(self, wanted: tuple[str | int, ...]) -> tuple[Band, ...]:
        """Returns bands by name, common name or position from 1 (2 or `#2`), in that order.

        An empty `wanted` means all. Raises SceneRejected if one is missing or ambiguous.
        """
        return tuple(self._one(item) for item in wanted) if wanted else self.bands

    def _one(self, item: str | int) -> Band:
        position = position_of(item)
        if position is not None:
            if 1 <= position <= len(self.bands):
                return self.bands[position - 1]
            what = f"no band {position} (they count from 1)"
            raise self._rejected(Reason.UNKNOWN_BAND, what)
        named = [band for band in self.bands if band.name == item]
        named = named or [band for band in self.bands if item in band.aliases]
        named = named or [band for band in self.bands if band.common_name == item]
        named = named or [band for band in self.bands if item == ONLY_BAND and self._is_nameless]
        if len(named) > 1:
            names = ", ".join(band.name for band in named)
            raise self._rejected(Reason.AMBIGUOUS_BAND, f"{item!r} could be {names}")
        if not named:
            raise self._rejected(Reason.UNKNOWN_BAND, f"no band {item!r}")
        return named[0]

    @property
    def _is_nameless(self) -> bool:
        """True if it is a single unnamed band, which cannot be mistaken for another."""
        return len(self.bands) == 1 and position_of(self.bands[0].name) is not None

    def _rejected(self, reason: Reason, what: str) -> SceneRejected:
        have = ", ".join(
            f"{band.name} ({band.common_name})" if band.common_name else band.name
            for band in self.bands
        )
        remedy = "Name one of these."
        if any(position_of(band.name) is not None for band in self.bands):
            remedy = (
                "Not every band has a unique name: request them by position from 1, or name them "
                "with band_names."
            )
        return SceneRejected(self.scene_id, reason, f"{what}; it has {have}. {remedy}")
