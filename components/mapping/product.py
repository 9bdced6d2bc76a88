"""Products: content of a map for each task, gathered tile by tile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from components.mapping.layout import Columns
from components.mapping.models import TileAnswers
from components.raster.pictures.sheet import Entry
from components.raster.pictures.stretch import Picture
from components.raster.scene.grid import Grid
from components.raster.tiles.key import TileKey
from components.raster.tiles.tile import Tile

#: Media type of Cloud Optimized GeoTIFF.
COG = "image/tiff; application=geotiff; profile=cloud-optimized"


@dataclass(frozen=True)
class Output:
    """A finished file of a map.

    Attributes:
        key: short name, unique in the map.
        path: of the file.
        media_type: its MIME type.
        title: for people.
        fields: further metadata, such as the classes of a raster.
    """

    key: str
    path: Path
    media_type: str
    title: str
    fields: Mapping[str, object] = field(default_factory=dict)


class Masked(NamedTuple):
    """Parts of a map that were masked as unknown imagery.

    Attributes:
        unit: pixels, cells or tiles.
        left_out: number of masked ones.
        of: number of all that the model predicted.
    """

    unit: str
    left_out: int
    of: int

    def report(self) -> dict[str, object]:
        """Returns the fields of `map.json`: the counts and the share, which is 0 without a unit."""
        return {**self._asdict(), "share": round(self.left_out / max(self.of, 1), 6)}


class Product(Protocol):
    """Gathers the answers of a scene's tiles into files.

    Everything gathered is either in its files or in those that `save` writes, so `load` can
    continue a killed run.

    Attributes:
        blends: both columns need the tiles on the border between them.
    """

    blends: bool

    def create(self) -> None:
        """Begins an empty map."""

    def begin(self, columns: Columns, band: int) -> None:
        """Begins some columns of the layout, or continues them at a band."""

    def add(self, tiles: Sequence[Tile], answer: TileAnswers) -> None:
        """Adds the answers for tiles that have valid pixels."""

    def lose(self, key: TileKey) -> None:
        """Records a tile that cannot be read."""

    def finish(self, band: int) -> None:
        """Ends a band: no later tile changes its pixels."""

    def save(self, folder: Path) -> None:
        """Writes unfinished parts, and makes sure that finished ones are on disk."""

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote, instead of `create`."""

    def outputs(self, folder: Path) -> list[Output]:
        """Writes the finished files into a folder."""

    def picture(self, folder: Path, scene: Picture) -> Picture:
        """Draws the finished map from the files in the folder, in the shape of `scene`."""

    def masked(self) -> Masked:
        """Counts the parts of the finished map that were masked as unknown imagery."""

    @property
    def legend(self) -> list[Entry]:
        """Names and colours of the picture."""


def grid_fields(grid: Grid) -> dict[str, object]:
    """Returns the size and place of a grid as fields of STAC's projection extension."""
    return {
        "proj:shape": [grid.height_px, grid.width_px],
        "proj:transform": list(grid.transform[:6]),
    }
