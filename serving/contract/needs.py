"""Input requirements of a served model; imports nothing heavy."""

import json
from dataclasses import dataclass
from typing import Any, Literal

#: Largest factor by which a raster may differ from the training tiles, in a side or a pixel.
_MOST_FACTOR = 1.5

Range = tuple[float, float]


@dataclass(frozen=True)
class TrainedTiles:
    """Ranges (minimum, maximum) of the raster tiles that a model was trained on.

    Attributes:
        height_px: rows, before a tile is fitted to the model.
        width_px: columns.
        gsd_m: metres from row to row; None if no tile is georeferenced.
    """

    height_px: Range
    width_px: Range
    gsd_m: Range | None = None

    def differ_from(self, height_px: int, width_px: int, gsd_m: float | None) -> str:
        """Describes how a raster differs too much and what to do; empty if it does not."""
        sides = ((height_px, self.height_px), (width_px, self.width_px))
        if not all(_is_near(side, trained) for side, trained in sides):
            height, width = int(self.height_px[1]), int(self.width_px[1])
            return (
                f"it has {height_px} x {width_px} pixels, and the model learnt from tiles of "
                f"{range_text(self.height_px)} x {range_text(self.width_px)}: its answer would be "
                "wrong at another size. Cut it into such tiles (gdal_retile.py -ps "
                f"{width} {height}), or take it as a scene (skymill map, skymill batch --kind "
                "scenes)"
            )
        if gsd_m is not None and self.gsd_m is not None and not self.is_near_gsd(gsd_m):
            return (
                f"its pixels are {gsd_m:.4g} m apart, and the model learnt from pixels of "
                f"{range_text(self.gsd_m)} m: its answer would be wrong at another scale. Warp it "
                "to that and cut it again (gdalwarp -tr)"
            )
        return ""

    def is_near_gsd(self, gsd_m: float) -> bool:
        """Checks whether a ground sample distance is close to the tiles', or theirs is unknown."""
        return self.gsd_m is None or _is_near(gsd_m, self.gsd_m)


@dataclass(frozen=True)
class ModelNeeds:
    """Input requirements of a model, from its contract.

    Attributes:
        height_px: of the model's input.
        width_px: of the model's input.
        fit: how an image of another shape is fitted.
        bands: of rasters, by name; empty for a model of photographs.
        values: for rasters: `scaled` if it was trained on values with scale and offset applied.
        tiles: for rasters: the training tiles.

    >>> text = '{"image": {"height_px": 64, "width_px": 96, "fit": "pad"}}'
    >>> needs = ModelNeeds.of_contract(text)
    >>> needs.height_px, needs.width_px, needs.bands
    (64, 96, ())
    """

    height_px: int
    width_px: int
    fit: Literal["stretch", "pad", "crop"]
    bands: tuple[str, ...] = ()
    values: Literal["stored", "scaled"] | None = None
    tiles: TrainedTiles | None = None

    @classmethod
    def of_contract(cls, text: str) -> "ModelNeeds":
        """Parses the JSON of a contract; ignores keys of later versions.

        Raises:
            ValueError: it is not a contract.
        """
        try:
            tree = json.loads(text)
            image: dict[str, Any] = tree["image"]
            height_px, width_px = int(image["height_px"]), int(image["width_px"])
            bands = tuple(image.get("bands") or ())
            tiles = _tiles(tree.get("tiles")) or _like(height_px, width_px) if bands else None
            return cls(height_px, width_px, image["fit"], bands, image.get("values"), tiles)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a contract of a model: {error!r}") from error


def _tiles(tree: Any) -> TrainedTiles | None:
    if not tree:
        return None
    ranges = {name: tree.get(name) and (*map(float, tree[name]),) for name in _RANGES}
    return TrainedTiles(**ranges)


_RANGES = ("height_px", "width_px", "gsd_m")


def _like(height_px: int, width_px: int) -> TrainedTiles:
    """Default for a contract without tiles: tiles of the model's input size."""
    return TrainedTiles((height_px, height_px), (width_px, width_px))


def _is_near(value: float, trained: Range) -> bool:
    least, most = trained
    return least / _MOST_FACTOR <= value <= most * _MOST_FACTOR


def range_text(bounds: Range) -> str:
    """Formats the least and greatest of a range; one number if they agree to four digits."""
    least, most = (f"{value:.4g}" for value in bounds)
    return least if least == most else f"{least} to {most}"
