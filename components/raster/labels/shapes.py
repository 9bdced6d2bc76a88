"""Labelled shapes in the pixel coordinates of a grid, queried by window."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely

from components.raster.labels.rejects import LabelReject
from components.raster.labels.vectors import Geometries, LabelSet, made_valid
from components.raster.library_errors import LibraryError, translated
from components.raster.reasons import Reason
from components.raster.scene.grid import Grid, crs_name
from components.raster.tiles.areas import geometry_in_pixels
from components.raster.tiles.key import Window


@dataclass(frozen=True, eq=False)
class PlacedShapes:
    """Shapes on a grid: x is the column and y the row, which increases downwards.

    Attributes:
        geometries: polygons or points, in the order of their file: later ones lie on top.
        classes: index of each into the class names.
        values: number of each, or NaN.
        numbers: feature id of each.
    """

    geometries: Geometries
    classes: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    numbers: npt.NDArray[np.int64]

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.geometries)

    @cached_property
    def is_point(self) -> npt.NDArray[np.bool_]:
        """Mask of the shapes without area."""
        points: npt.NDArray[np.bool_] = shapely.get_dimensions(self.geometries) == 0
        return points

    def in_window(self, window: Window) -> npt.NDArray[np.int64]:
        """Returns indexes of the shapes that share ground with a window, in file order.

        Polygons that only touch it are excluded. A point on the edge between two windows belongs to
        the one that begins there.
        """
        box = shapely.box(window.col, window.row, window.right, window.bottom)
        found = np.sort(self._tree.query(box, predicate="intersects"))
        keep = np.ones(len(found), np.bool_)
        for place, index in enumerate(found.tolist()):
            geometry = self.geometries[index]
            if self.is_point[index]:
                keep[place] = _begins_before(geometry, window)
            else:
                keep[place] = not shapely.touches(geometry, box)
        return np.asarray(found[keep], dtype=np.int64)


def place_labels(
    labels: LabelSet, grid: Grid, class_names: Sequence[str]
) -> tuple[PlacedShapes, tuple[LabelReject, ...]]:
    """Returns the labels that share ground with a grid, in its pixel coordinates.

    Vertices are projected; edges stay straight between them. Labels elsewhere are left out, since
    another scene may hold them; `unplaced_labels` reports those in no scene.

    Args:
        labels: from `read_labels`.
        grid: of the scene or its view. Without a CRS the labels must be in its own coordinates.
        class_names: of the run, in the order of their indexes.

    Returns:
        The shapes, and rejects for labels whose class is not among the names or whose vertices
        cannot be projected into the grid's CRS.

    Raises:
        CrsError: the labels' CRS cannot be transformed to the grid's.
    """
    moved = geometry_in_pixels(labels.geometries, labels.crs, grid)
    bounds = shapely.bounds(moved)
    rejects = []
    for place in np.flatnonzero(~np.isfinite(bounds).all(axis=1)).tolist():
        detail = f"its place in {crs_name(labels.crs)} has none in {crs_name(str(grid.crs))}."
        rejects.append(labels.reject(place, Reason.NOT_PROJECTABLE, detail))
    inside = (
        (bounds[:, 2] > 0)
        & (bounds[:, 3] > 0)
        & (bounds[:, 0] < grid.width_px)
        & (bounds[:, 1] < grid.height_px)
    )
    moved, broken = _still_valid(moved, inside)
    for place, why in broken.items():
        detail = f"{why} once it is projected to {crs_name(str(grid.crs))}."
        rejects.append(labels.reject(place, Reason.NOT_PROJECTABLE, detail))
        inside[place] = False
    shapes, unknown = keep_known(labels, moved[inside], np.flatnonzero(inside), class_names)
    return shapes, (*rejects, *unknown)


def keep_known(
    labels: LabelSet,
    geometries: Geometries,
    places: npt.NDArray[np.int64],
    class_names: Sequence[str],
) -> tuple[PlacedShapes, tuple[LabelReject, ...]]:
    """Keeps the labels of a grid whose class the run has; rejects the others.

    Args:
        labels: of a file.
        geometries: in pixels of the grid.
        places: index of each among the labels.
        class_names: of the run, in the order of their indexes.
    """
    index = {name: place for place, name in enumerate(class_names)}
    names = labels.classes[places].tolist()
    known = np.array([name in index for name in names], np.bool_)
    rejects = [
        labels.reject(
            place,
            Reason.UNKNOWN_CLASS,
            f"class {labels.classes[place]!r} is not one of {', '.join(class_names)}.",
        )
        for place in places[~known].tolist()
    ]
    kept = places[known]
    shapes = PlacedShapes(
        geometries=geometries[known],
        classes=np.array([index[name] for name in labels.classes[kept].tolist()], np.int64),
        values=labels.values[kept],
        numbers=labels.numbers[kept],
    )
    return shapes, tuple(rejects)


def unplaced_labels(labels: LabelSet, placed: Iterable[PlacedShapes]) -> tuple[LabelReject, ...]:
    """Returns rejects for the labels that are in none of a run's scenes."""
    used = {number for shapes in placed for number in shapes.numbers.tolist()}
    return tuple(
        labels.reject(
            place,
            Reason.OUTSIDE_SCENES,
            "it lies in no scene of the run. Check its coordinate reference system and the scenes.",
        )
        for place, number in enumerate(labels.numbers.tolist())
        if number not in used
    )


def _still_valid(
    geometries: Geometries, inside: npt.NDArray[np.bool_]
) -> tuple[Geometries, dict[int, str]]:
    """Repairs polygons that became invalid by projection, such as slivers that cross themselves.

    Also returns the indexes of those beyond repair, with the reason.
    """
    failed = {}
    for place in np.flatnonzero(inside & ~shapely.is_valid(geometries)).tolist():
        try:
            with translated():
                geometries[place] = made_valid(geometries[place])
        except LibraryError as error:
            failed[place] = str(error)
    return geometries, failed


def _begins_before(points: shapely.Geometry, window: Window) -> bool:
    """Marks points in a window, whose lower and right edges belong to its neighbours."""
    places = shapely.get_coordinates(points)
    inside = (
        (places[:, 0] >= window.col)
        & (places[:, 0] < window.right)
        & (places[:, 1] >= window.row)
        & (places[:, 1] < window.bottom)
    )
    return bool(inside.any())
