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
from components.mapping.merging import Found, merge
from components.mapping.models import Answer
from components.mapping.picture import UNKNOWN_RGB
from components.mapping.product import Output
from components.mapping.vectors import Features, write_vectors
from components.raster.fitting import unfit_boxes
from components.raster.pictures.colours import class_colours
from components.raster.pictures.sheet import Entry, legend_of
from components.raster.pictures.stretch import Picture
from components.raster.scene.grid import Grid
from components.raster.tiles.key import TileKey
from components.raster.tiles.tile import Tile
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
        self._found: list[Found] = []
        self._merged: Found = _nothing()

    def create(self) -> None:
        """Begins with no object."""
        self._found = []

    def begin(self, columns: Columns, band: int) -> None:
        """Needs nothing: objects are merged at the end."""

    def add(self, tiles: Sequence[Tile], answer: Answer) -> None:
        """Takes the objects of tiles that reach the least score."""
        for number, tile in enumerate(tiles):
            labels = np.asarray(answer[BOX_LABELS_OUTPUT][number], np.int64)
            scores = np.asarray(answer[BOX_SCORES_OUTPUT][number], np.float64)
            kept = (labels >= 0) & (scores >= self._config.min_score)
            window = tile.key.window
            edges = np.asarray(answer[BOXES_OUTPUT][number], np.float64)[kept]
            size = (window.height, window.width)
            boxes = unfit_boxes(edges, size, self._contract.image)
            boxes += np.tile((window.row, window.col), 2)
            np.clip(boxes, 0, np.tile((self._grid.height_px, self._grid.width_px), 2), out=boxes)
            real = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
            corner = (window.row, window.col, window.bottom, window.right)
            windows = np.tile(np.array(corner, np.float64), (len(boxes), 1))
            self._found.append(Found(boxes, labels[kept], scores[kept], windows).at(real))

    def lose(self, key: TileKey) -> None:
        """Knows of no objects there but those of other tiles."""

    def finish(self, band: int) -> None:
        """Needs nothing."""

    def save(self, folder: Path) -> None:
        """Writes the objects so far."""
        self._found = [_together(self._found)]
        fields = {name: getattr(self._found[0], name) for name in _FIELDS}
        np.savez(folder / _FOUND, **fields)

    def load(self, folder: Path) -> None:
        """Restores the objects so far."""
        with np.load(folder / _FOUND) as found:
            self._found = [Found(*(found[name] for name in _FIELDS))]

    def outputs(self, folder: Path) -> list[Output]:
        """Writes the merged objects."""
        grid = self._grid
        self._merged = merge(_together(self._found), grid.height_px, grid.width_px)
        return write_vectors(self._features(), self._config.vectors, folder)

    def picture(self, folder: Path, shape: tuple[int, int]) -> Picture:
        """Draws the outlines of the objects."""
        image = Image.new("RGB", shape[::-1], UNKNOWN_RGB)
        draw, colours = ImageDraw.Draw(image), class_colours(len(self._contract.classes))
        scale = np.tile(np.divide(shape, (self._grid.height_px, self._grid.width_px)), 2)
        boxes = (self._merged.boxes * scale).tolist()
        for (top, left, bottom, right), index in zip(boxes, self._merged.classes, strict=True):
            edges = (left, top, max(right - 1, left), max(bottom - 1, top))
            draw.rectangle(edges, outline=colours[int(index)])
        return np.asarray(image)

    @property
    def legend(self) -> list[Entry]:
        """Names and colours."""
        return legend_of(self._contract.classes)

    def _features(self) -> Features:
        found, names = self._merged, np.array(self._contract.classes, object)
        columns: dict[str, npt.NDArray[Any]] = {
            "class": names[found.classes],
            "class_index": found.classes,
            "score": found.scores,
        }
        top, left, bottom, right = found.boxes.T
        if self._config.points:
            xs, ys = self._grid.to_map((top + bottom) / 2, (left + right) / 2)
            geometries, kind = shapely.points(xs, ys), "Point"
        else:
            rows = np.stack([top, bottom, bottom, top], axis=1)
            xs, ys = self._grid.to_map(rows, np.stack([left, left, right, right], axis=1))
            corners = np.stack([xs, ys], axis=-1)
            geometries, kind = shapely.polygons(corners) if len(found) else np.empty(0), "Polygon"
        placed = np.asarray(geometries, object)
        return Features("objects", "Objects", kind, self._grid.crs, placed, columns)


def _nothing() -> Found:
    return Found(np.empty((0, 4)), np.empty(0, np.int64), np.empty(0), np.empty((0, 4)))


def _together(parts: Sequence[Found]) -> Found:
    parts = parts or [_nothing()]
    return Found(*(np.concatenate([getattr(it, name) for it in parts]) for name in _FIELDS))
