"""Maps of objects: the boxes of all tiles, merged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image, ImageDraw

from components.mapping.config import MapConfig
from components.mapping.layout import Columns, Layout
from components.mapping.merging import DetectedObjects, Edges, merge
from components.mapping.models import TileAnswers
from components.mapping.product import Masked, Output
from components.mapping.unknown import (
    MASKED_ENTRY,
    MASKED_RGB,
    PERCENTILE_STEP,
    masked_in,
    masked_where,
    percentiles_of,
    stored_percentiles,
)
from components.mapping.vectors import Features, write_vectors
from components.raster.fitting import unfit_boxes
from components.raster.pictures.colours import class_colours
from components.raster.pictures.sheet import Entry, legend_of
from components.raster.pictures.stretch import Picture
from components.raster.scene.grid import Grid
from components.raster.tiles.key import TileKey
from components.raster.tiles.tile import Tile
from components.raster.tiles.valid_mask import Mask
from serving.contract.contract import Contract
from serving.tasks.detection.answer import BOX_LABELS_OUTPUT, BOX_SCORES_OUTPUT, BOXES_OUTPUT

_FOUND = "objects.npz"
_FIELDS = ("boxes", "classes", "scores", "tiles")


class ObjectMap:
    """The `Product` of a detection model; it keeps the boxes of all tiles in memory."""

    blends = False

    def __init__(
        self, layout: Layout, grid: Grid, contract: Contract, config: MapConfig, folder: Path
    ) -> None:
        """Prepares the map; see `ClassMap`."""
        self._grid, self._contract, self._config = grid, contract, config
        self._found: list[DetectedObjects] = []
        self._merged: DetectedObjects = _nothing()
        self._masks = config.masks_unknown
        # Of each tile: top, left, bottom, right, and its stored percentile of unknown imagery.
        self._tiles: list[Edges] = []

    def create(self) -> None:
        """Begins without objects."""
        self._found, self._tiles = [], []

    def begin(self, columns: Columns, band: int) -> None:
        """Does nothing: objects are merged at the end."""

    def add(self, tiles: Sequence[Tile], answer: TileAnswers) -> None:
        """Adds the objects with the least score and a valid pixel, except those of masked tiles."""
        masked = self._masked(tiles, answer)
        for number, tile in enumerate(tiles):
            labels = np.asarray(answer[BOX_LABELS_OUTPUT][number], np.int64)
            scores = np.asarray(answer[BOX_SCORES_OUTPUT][number], np.float64)
            kept = (labels >= 0) & (scores >= self._config.min_score) & ~masked[number]
            window = tile.key.window
            edges = np.asarray(answer[BOXES_OUTPUT][number], np.float64)[kept]
            size = (window.height, window.width)
            boxes = unfit_boxes(edges, size, self._contract.image)
            boxes += np.tile((window.row, window.col), 2)
            np.clip(boxes, 0, np.tile((self._grid.height_px, self._grid.width_px), 2), out=boxes)
            is_real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            real = np.flatnonzero(is_real & _have_ground(boxes, tile))
            corner = (window.row, window.col, window.bottom, window.right)
            windows = np.tile(np.array(corner, np.float64), (len(boxes), 1))
            self._found.append(DetectedObjects(boxes, labels[kept], scores[kept], windows).at(real))

    def _masked(self, tiles: Sequence[Tile], answer: TileAnswers) -> Mask:
        """Records the percentiles of tiles, and marks the masked ones, (N,)."""
        known = np.ones(len(tiles), np.bool_)
        if not self._masks:
            return ~known
        stored = stored_percentiles(percentiles_of(answer), known)
        windows = [tile.key.window for tile in tiles]
        edges = np.array([(it.row, it.col, it.bottom, it.right) for it in windows], np.float64)
        self._tiles.append(np.column_stack([edges, stored]))
        return masked_where(stored, self._config)

    def lose(self, key: TileKey) -> None:
        """Does nothing: only the objects of other tiles are known there."""

    def finish(self, band: int) -> None:
        """Does nothing."""

    def save(self, folder: Path) -> None:
        """Writes the objects so far."""
        self._found = [_together(self._found)]
        fields = {name: getattr(self._found[0], name) for name in _FIELDS}
        np.savez(folder / _FOUND, **fields, percentiles=self._tile_percentiles)

    def load(self, folder: Path) -> None:
        """Restores the objects so far."""
        with np.load(folder / _FOUND) as found:
            self._found = [DetectedObjects(*(found[name] for name in _FIELDS))]
            self._tiles = [found["percentiles"]]

    def outputs(self, folder: Path) -> list[Output]:
        """Writes the merged objects."""
        grid = self._grid
        self._merged = merge(_together(self._found), grid.height_px, grid.width_px)
        layers = [self._features(), *([self._tile_features()] if self._masks else [])]
        formats = self._config.vectors
        return [output for layer in layers for output in write_vectors(layer, formats, folder)]

    def masked(self) -> Masked:
        """Counts tiles."""
        return masked_in("tiles", [self._tile_percentiles[:, 4]], self._config)

    def picture(self, folder: Path, scene: Picture) -> Picture:
        """Draws the outlines of the objects over the scene."""
        image = Image.fromarray(scene.astype(np.uint8))
        draw, colours = ImageDraw.Draw(image), class_colours(len(self._contract.classes))
        whole = (self._grid.height_px, self._grid.width_px)
        scale = np.tile(np.divide(scene.shape[:2], whole), 2)
        for box in self._tile_percentiles[self._is_masked, :4] * scale:
            draw.rectangle(_drawn(box), fill=MASKED_RGB)
        for box, index in zip(self._merged.boxes * scale, self._merged.classes, strict=True):
            draw.rectangle(_drawn(box), outline=colours[int(index)])
        return np.asarray(image)

    @property
    def legend(self) -> list[Entry]:
        """Names and colours."""
        return [*legend_of(self._contract.classes), *([MASKED_ENTRY] if self._masks else [])]

    @property
    def _tile_percentiles(self) -> Edges:
        """Edges of all tiles and their stored percentiles, (N, 5)."""
        return np.concatenate([np.empty((0, 5)), *self._tiles])

    @property
    def _is_masked(self) -> Mask:
        return masked_where(self._tile_percentiles[:, 4].astype(np.uint8), self._config)

    def _features(self) -> Features:
        found, names = self._merged, np.array(self._contract.classes, object)
        columns: dict[str, npt.NDArray[Any]] = {
            "class": names[found.classes],
            "class_index": found.classes,
            "score": found.scores,
        }
        if self._config.points:
            top, left, bottom, right = found.boxes.T
            xs, ys = self._grid.to_map((top + bottom) / 2, (left + right) / 2)
            geometries, kind = shapely.points(xs, ys), "Point"
        else:
            geometries, kind = self._polygons(found.boxes), "Polygon"
        placed = np.asarray(geometries, object)
        return Features("objects", "Objects", kind, self._grid.crs, placed, columns)

    def _tile_features(self) -> Features:
        """Returns the tiles with their percentiles, and whether each is masked."""
        rows = self._tile_percentiles
        columns = {"unknown_percentile": rows[:, 4] * PERCENTILE_STEP, "masked": self._is_masked}
        title = "Tiles with their percentile of unknown imagery"
        placed = self._polygons(rows[:, :4])
        return Features("tiles", title, "Polygon", self._grid.crs, placed, columns)

    def _polygons(self, boxes: Edges) -> npt.NDArray[np.object_]:
        """Returns boxes (N, 4) in pixels as polygons on the map."""
        top, left, bottom, right = boxes.T
        rows = np.stack([top, bottom, bottom, top], axis=1)
        xs, ys = self._grid.to_map(rows, np.stack([left, left, right, right], axis=1))
        corners = np.stack([xs, ys], axis=-1)
        return np.asarray(shapely.polygons(corners) if len(boxes) else np.empty(0), object)


def _have_ground(boxes: Edges, tile: Tile) -> Mask:
    """Marks boxes (N, 4), in pixels of the scene, that hold a valid pixel of a tile."""
    if tile.is_valid_everywhere:
        return np.ones(len(boxes), np.bool_)
    height, width = tile.valid.shape
    count = np.zeros((height + 1, width + 1), np.int64)  # of valid pixels above and to the left
    count[1:, 1:] = tile.valid.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    own = boxes - np.tile((tile.key.window.row, tile.key.window.col), 2)
    most = (height, width)
    top, left = np.clip(np.floor(own[:, :2]), 0, most).astype(np.intp).T
    bottom, right = np.clip(np.ceil(own[:, 2:]), 0, most).astype(np.intp).T
    inside = count[bottom, right] - count[top, right] - count[bottom, left] + count[top, left]
    return np.asarray(inside > 0, np.bool_)


def _drawn(box: Edges) -> tuple[float, float, float, float]:
    """Returns left, top, right, bottom of a box (4,) in a picture, at least one pixel in size."""
    top, left, bottom, right = box.tolist()
    return left, top, max(right - 1, left), max(bottom - 1, top)


def _nothing() -> DetectedObjects:
    return DetectedObjects(np.empty((0, 4)), np.empty(0, np.int64), np.empty(0), np.empty((0, 4)))


def _together(parts: Sequence[DetectedObjects]) -> DetectedObjects:
    parts = parts or [_nothing()]
    return DetectedObjects(
        *(np.concatenate([getattr(it, name) for it in parts]) for name in _FIELDS)
    )
