"""A class for every pixel of each tile."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from affine import Affine
from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.labels.shapes import PlacedShapes
from components.raster.labels.targets import MaskPixels, Rule, as_mask, ignore_value
from components.raster.task import Task
from components.raster.text import ClassName
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.truth.value import Truth

#: Subpixels along each side of a pixel, by which its coverage is counted.
SUBPIXELS = 8


class MaskTarget(Frozen):
    """A class for every pixel of a tile."""

    task: ClassVar[Task] = "segmentation"
    from_masks: ClassVar[bool] = True
    from_boxes: ClassVar[bool] = False
    reads_numbers: ClassVar[bool] = False

    to: Literal["mask"] = "mask"
    rule: Rule = Field(default="centre", description="which shape determines a pixel")
    min_fraction: float = Field(
        default=0.5, gt=0, le=1, description="least share of the area, for the rule fraction"
    )
    background: ClassName | None = Field(
        default=None,
        description="class of ground that no shape covers; null: that ground has no truth",
    )

    def of_shapes(
        self, shapes: PlacedShapes, window: Window, valid: Mask, classes: Sequence[str]
    ) -> Truth | None:
        """Returns the mask of a tile from shapes; None if no pixel has a class."""
        background = None if self.background is None else list(classes).index(self.background)
        mask = tile_mask(
            shapes,
            window,
            len(classes),
            rule=self.rule,
            min_fraction=self.min_fraction,
            background=background,
            valid=valid,
        )
        return self.of_mask(mask, classes)

    def of_mask(self, mask: MaskPixels, classes: Sequence[str]) -> Truth | None:
        """Returns the mask itself; None if no pixel has a class."""
        if (mask == ignore_value(len(classes))).all():
            return None
        return Truth(mask=mask)


def tile_mask(
    shapes: PlacedShapes,
    window: Window,
    class_count: int,
    *,
    rule: Rule = "centre",
    min_fraction: float = 0.5,
    background: int | None = None,
    valid: Mask | None = None,
) -> MaskPixels:
    """Returns a class for every pixel of a tile, (H, W).

    Args:
        shapes: polygons; points only count under `any`.
        window: the tile.
        class_count: of the run; decides dtype and ignore value (`targets.ignore_value`).
        rule: class of a pixel. centre: of the shape at its centre; any: of one that touches it;
            majority: the one with the largest share of it, if that exceeds the uncovered share;
            fraction: the one with the largest share, if that is at least min_fraction.
        min_fraction: for the rule `fraction`.
        background: class outside all shapes; None: these pixels are ignored.
        valid: invalid pixels are ignored whatever covers them.
    """
    empty = ignore_value(class_count) if background is None else background
    found = shapes.in_window(window)
    geometries, classes = shapes.geometries[found], shapes.classes[found]
    if rule in ("majority", "fraction"):
        mask = _by_share(geometries, classes, window, empty, rule, min_fraction)
    else:
        burned = _burn(geometries, classes, window, 1, all_touched=rule == "any")
        mask = np.where(burned == 0, empty, burned.astype(np.int64) - 1)
    if valid is not None:
        mask = np.where(valid, mask, ignore_value(class_count))
    return as_mask(mask, class_count)


def _burn(
    geometries: npt.NDArray[np.object_],
    classes: npt.NDArray[np.int64],
    window: Window,
    finer: int,
    *,
    all_touched: bool = False,
) -> npt.NDArray[np.uint32]:
    """Rasterizes class index + 1 at every (sub)pixel, 0 where there is no shape."""
    from rasterio.features import rasterize

    shape = (window.height * finer, window.width * finer)
    if not len(geometries):
        return np.zeros(shape, np.uint32)
    place = Affine.translation(window.col, window.row) * Affine.scale(1 / finer)
    burned: npt.NDArray[np.uint32] = rasterize(
        zip(geometries.tolist(), (classes + 1).tolist(), strict=True),
        out_shape=shape,
        transform=place,
        all_touched=all_touched,
        dtype="uint32",
    )
    return burned


def _by_share(
    geometries: npt.NDArray[np.object_],
    classes: npt.NDArray[np.int64],
    window: Window,
    empty: int,
    rule: Rule,
    min_fraction: float,
) -> npt.NDArray[np.int64]:
    """Returns the class with the largest share of every pixel, counted on a grid of subpixels."""
    burned = _burn(geometries, classes, window, SUBPIXELS)
    cells = burned.reshape(window.height, SUBPIXELS, window.width, SUBPIXELS)
    mask = np.full((window.height, window.width), empty, np.int64)
    uncovered = (cells == 0).mean(axis=(1, 3))
    least = uncovered if rule == "majority" else np.full_like(uncovered, min_fraction)
    best = np.zeros_like(uncovered)
    for index in np.unique(classes).tolist():
        share = (cells == index + 1).mean(axis=(1, 3))
        enough = share > least if rule == "majority" else share >= least
        chosen = (share > best) & enough
        mask[chosen] = index
        best = np.maximum(best, share)
    return mask
