"""Maps of one answer per tile: cells of a coarse raster with a class, several, or a number."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine

from components.mapping.class_table import ClassTable, counts_of
from components.mapping.config import MapConfig
from components.mapping.layout import Columns, Layout
from components.mapping.models import TileAnswers
from components.mapping.picture import UNKNOWN_RGB
from components.mapping.product import COG, Masked, Output, grid_fields
from components.mapping.rasters import GrowingRaster, RasterSpec
from components.mapping.segmentation import class_spec, confidence_spec, probability_spec
from components.mapping.settled import as_bytes
from components.mapping.unknown import (
    MASKED_ENTRY,
    MASKED_RGB,
    PERCENTILE_NODATA,
    PERCENTILE_STEP,
    masked_in,
    masked_where,
    percentile_output,
    percentile_spec,
    percentiles_of,
    stored_percentiles,
)
from components.mapping.vectors import Features, write_vectors
from components.raster.pictures.colours import class_colours
from components.raster.pictures.sheet import Entry, legend_of
from components.raster.pictures.stretch import Picture, picture_of, stretch_of
from components.raster.scene.grid import Grid
from components.raster.task import ONE_OF_SEVERAL
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.tile import Tile
from components.raster.tiles.valid_mask import Mask
from serving.contract.contract import Contract
from serving.tasks.base import PROBABILITIES_OUTPUT
from serving.tasks.regression.answer import VALUE_OUTPUT

_CELLS = "cells.npz"


class CellMap:
    """The `Product` of models that give one answer per image.

    A cell is as large as the stride and lies in the middle of its tile. Its answers are kept in
    memory: K numbers for each tile.
    """

    blends = False

    def __init__(
        self, layout: Layout, grid: Grid, contract: Contract, config: MapConfig, folder: Path
    ) -> None:
        """Prepares the map; see `ClassMap`."""
        plan = layout.plan
        self._plan, self._contract, self._config, self._folder = plan, contract, config, folder
        self._scene = grid
        self._stride_px = config.stride_px(plan.size_px, contract.form)
        self.grid = cell_grid(grid, plan.size_px, self._stride_px, layout)
        self._place = {top: n for n, top in enumerate(plan.rows)}
        self._side = {left: n for n, left in enumerate(plan.cols)}
        self._count = len(contract.classes) or 1
        self._masks = config.masks_unknown
        self._answers: npt.NDArray[np.float32] = np.empty(0, np.float32)
        self._percentiles: npt.NDArray[np.uint8] = np.empty(0, np.uint8)

    def create(self) -> None:
        """Begins an empty map."""
        shape = (self._count, self.grid.height_px, self.grid.width_px)
        self._answers = np.full(shape, np.nan, np.float32)
        self._percentiles = np.full(shape[1:], PERCENTILE_NODATA, np.uint8)

    def begin(self, columns: Columns, band: int) -> None:
        """Does nothing: cells do not share pixels."""

    def add(self, tiles: Sequence[Tile], answer: TileAnswers) -> None:
        """Sets the cells of tiles; those of masked ones stay unknown."""
        found = answer[PROBABILITIES_OUTPUT if self._contract.classes else VALUE_OUTPUT]
        windows = [tile.key.window for tile in tiles]
        rows = np.array([self._place[window.row] for window in windows])
        cols = np.array([self._side[window.col] for window in windows])
        kept = np.ones(len(tiles), np.bool_)
        if self._masks:
            stored = stored_percentiles(percentiles_of(answer), kept)
            self._percentiles[rows, cols] = stored
            kept = ~masked_where(stored, self._config)
        self._answers[:, rows[kept], cols[kept]] = np.atleast_2d(found[kept].T)

    def lose(self, key: TileKey) -> None:
        """Leaves the cell unknown."""

    def finish(self, band: int) -> None:
        """Does nothing: every cell is finished at once."""

    def save(self, folder: Path) -> None:
        """Writes the answers so far."""
        np.savez(folder / _CELLS, answers=self._answers, percentiles=self._percentiles)

    def load(self, folder: Path) -> None:
        """Restores the answers so far."""
        with np.load(folder / _CELLS) as found:
            self._answers, self._percentiles = found["answers"], found["percentiles"]

    def outputs(self, folder: Path) -> list[Output]:
        """Writes the rasters, and the cells as polygons."""
        outputs: list[Output] = []
        for key, title, spec, pixels in self._rasters():
            path = self._write(spec, pixels, folder)
            if key == "classes":
                counts = counts_of(pixels, self._count).tolist()
                table = ClassTable(self._contract.classes, class_colours(self._count), counts)
                outputs += [Output(key, path, COG, title, table.stac_fields()), table.write(path)]
            else:
                outputs.append(Output(key, path, COG, title))
        if self._masks:
            path = self._write(percentile_spec(self.grid), self._percentiles, folder)
            outputs.append(percentile_output(path, self._config))
        own = grid_fields(self.grid)  # a cell covers many pixels of the item's grid
        outputs = [
            replace(it, fields={**it.fields, **own}) if it.media_type == COG else it
            for it in outputs
        ]
        return outputs + write_vectors(self._cells(), self._config.vectors, folder)

    def masked(self) -> Masked:
        """Counts cells."""
        return masked_in("cells", [self._percentiles], self._config)

    def picture(self, folder: Path, scene: Picture) -> Picture:
        """Draws the cells, each over its pixels of the scene."""
        shown = self._shown()
        whole, stride = (self._scene.height_px, self._scene.width_px), self._stride_px
        shift = (self._plan.size_px - stride) // 2
        places = [
            (np.arange(count) + 0.5) * (side / count)
            for count, side in zip(scene.shape[:2], whole, strict=True)
        ]
        rows, cols = (((at - shift) // stride).astype(int) for at in places)
        inside = np.outer(
            (rows >= 0) & (rows < self.grid.height_px), (cols >= 0) & (cols < self.grid.width_px)
        )
        picture = shown[
            np.clip(rows, 0, self.grid.height_px - 1)[:, None],
            np.clip(cols, 0, self.grid.width_px - 1),
        ]
        picture[~inside] = UNKNOWN_RGB
        return picture

    @property
    def legend(self) -> list[Entry]:
        """Names and colours of the classes; for numbers, of the least and the largest."""
        more = [MASKED_ENTRY] if self._masks else []
        if self._contract.classes:
            return [*legend_of(self._contract.classes), *more]
        known = self._answers[np.isfinite(self._answers)]
        if not known.size:
            return more
        return [(f"{known.min():.4g}", (0, 0, 0)), (f"{known.max():.4g}", (255, 255, 255)), *more]

    @property
    def _known(self) -> Mask:
        """Returns the mask of cells with an answer, (H, W)."""
        return np.asarray(np.isfinite(self._answers).all(axis=0), np.bool_)

    def _write(self, spec: RasterSpec, pixels: npt.NDArray[np.generic], folder: Path) -> Path:
        raster = GrowingRaster(spec, self._folder, self._config.compression)
        raster.create()
        raster.write(Window(0, 0, self.grid.height_px, self.grid.width_px), pixels)
        return raster.to_cog(folder)

    def _rasters(self) -> list[tuple[str, str, RasterSpec, npt.NDArray[np.generic]]]:
        classes, answers, known = self._contract.classes, self._answers, self._known
        if not classes:
            spec = RasterSpec("values", self.grid, "float32", np.nan, ("value",))
            return [("values", "Value of each cell", spec, answers[0])]
        filled = np.where(known, answers, 0)
        planes = np.stack([as_bytes(plane, ~known) for plane in filled])
        probability = (
            "probabilities",
            "Probability of every class",
            probability_spec(self.grid, classes),
            planes,
        )
        if self._contract.task not in ONE_OF_SEVERAL:
            present = (filled >= self._contract.threshold).astype(np.uint8)
            spec = replace(probability_spec(self.grid, classes), name="present", scale=1.0)
            present[:, ~known] = 255
            return [("present", "1 where a class is present", spec, present), probability]
        spec = class_spec(self.grid, classes)
        best = filled.argmax(axis=0).astype(spec.dtype)
        best[~known] = int(spec.nodata)
        sure = as_bytes(filled.max(axis=0), ~known)
        return [
            ("classes", "Class of each cell", spec, best),
            ("confidence", "Probability of the class", confidence_spec(self.grid), sure),
            probability,
        ]

    def _shown(self) -> Picture:
        """Draws the cells as pixels."""
        known = self._known
        if not self._contract.classes:
            pixels = self._answers[0][..., np.newaxis]
            stretch = stretch_of([(pixels, known)], (0,), low_percent=0, high_percent=100)
            shown = picture_of(pixels, known, (0,), stretch, nodata_rgb=UNKNOWN_RGB)
        else:
            colours = np.array([*class_colours(self._count), UNKNOWN_RGB], np.uint8)
            best = np.where(known, np.where(known, self._answers, 0).argmax(axis=0), self._count)
            shown = np.asarray(colours[best], np.uint8)
        shown[masked_where(self._percentiles, self._config)] = MASKED_RGB
        return shown

    def _cells(self) -> Features:
        """Returns the cells that have an answer, as polygons."""
        rows, cols = np.nonzero(self._known)
        xs, ys = self.grid.to_map(
            np.stack([rows, rows + 1, rows + 1, rows], axis=1).astype(np.float64),
            np.stack([cols, cols, cols + 1, cols + 1], axis=1).astype(np.float64),
        )
        polygons = shapely.polygons(np.stack([xs, ys], axis=-1)) if len(rows) else np.empty(0)
        found = self._answers[:, rows, cols]
        columns: dict[str, npt.NDArray[Any]] = {}
        if not self._contract.classes:
            columns["value"] = found[0]
        else:
            if self._contract.task in ONE_OF_SEVERAL:
                columns["class"] = np.array(self._contract.classes, object)[found.argmax(axis=0)]
            columns |= {
                f"p_{name}": plane
                for name, plane in zip(self._contract.classes, found, strict=True)
            }
        if self._masks:
            columns["unknown_percentile"] = self._percentiles[rows, cols] * PERCENTILE_STEP
        kept = np.asarray(polygons, object)
        return Features("cells", "Cells with answers", "Polygon", self.grid.crs, kept, columns)


def cell_grid(grid: Grid, size_px: int, stride_px: int, layout: Layout) -> Grid:
    """Returns the grid of cells: each as large as the stride, in the middle of its tile."""
    shift = (size_px - stride_px) // 2
    corner = grid.window_transform(shift, shift)
    a, b, c, d, e, f = corner[:6]
    transform = Affine(a * stride_px, b * stride_px, c, d * stride_px, e * stride_px, f)
    return Grid(len(layout.plan.rows), len(layout.plan.cols), transform, grid.crs)
