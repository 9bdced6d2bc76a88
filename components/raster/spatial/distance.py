"""Distances between tiles, and tiles that share ground.

Footprints are projected around their own neighbourhood (azimuthal equidistant, at most a few
hundred kilometres from its centre), where lengths are right to a few parts in ten thousand; farther
apart, distances are great circles between centres.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from components.raster.errors import DataError
from components.raster.library_errors import translated
from components.raster.scene.grid import LONLAT, Floats, reproject
from components.raster.spatial.blocks import EARTH_RADIUS_M, blocks_of
from components.raster.spatial.places import Indexes, TileFootprints

_NEIGHBOURHOOD_M = 400_000.0
_REACH_M = 600_000.0
#: Footprints of two scenes that share less of their area than this count as touching, not as
#: overlapping: their edges are straight in different projections.
_SLIVER = 1e-3

Polygons = npt.NDArray[np.object_]


class LeakError(DataError):
    """Tiles of different splits would overlap or touch."""


@dataclass(frozen=True)
class Nearest:
    """The two nearest tiles of two sets; the distance is infinity if one of the sets is empty."""

    distance_m: float
    first: str = ""
    second: str = ""


@dataclass(frozen=True)
class Contacts:
    """Pairs of tiles that overlap, and pairs that only have an edge or a corner in common."""

    overlapping: int = 0
    touching: int = 0
    example: tuple[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.overlapping or self.touching)


def nearest_distance(first: TileFootprints, second: TileFootprints) -> Nearest:
    """Returns the shortest distance in metres between footprints of two sets; 0 if they meet.

    Tiles without a place on a map are left out.
    """
    first, second = _on_map(first), _on_map(second)
    best = Nearest(float("inf"))
    with translated(_cannot_compare):
        for members, flat in _neighbourhoods(second):
            near = np.flatnonzero(flat.distance(first.centres) <= _REACH_M)
            found = _nearest_flat(first, second, near, members, flat)
            if found.distance_m > _REACH_M / 2:
                # A tile beyond the neighbourhood may be nearer.
                found = min(found, _nearest_far(first, second, members), key=_distance)
            best = min(best, found, key=_distance)
    return best


def train_to_test(places: TileFootprints, splits: Sequence[object]) -> Nearest:
    """Returns the nearest tiles of the train and the test split, given the split of each tile."""
    train, test = (
        places.take([index for index, split in enumerate(splits) if split == name])
        for name in ("train", "test")
    )
    return nearest_distance(train, test)


def contacts(places: TileFootprints, splits: Sequence[str | None] | None = None) -> Contacts:
    """Finds pairs of tiles that overlap or touch; with splits, only pairs across splits.

    Within a scene their windows are compared, which is exact; between scenes, their footprints.
    Tiles without a location are compared only within their scene.
    """
    names = None if splits is None else np.array([split or "" for split in splits])
    overlapping = touching = 0
    example: tuple[str, str] | None = None
    with translated(_cannot_compare):
        pairs = [*_within_scenes(places), *_between_scenes(places)]
    for left, right, overlaps in pairs:
        if names is not None:
            counts = (names[left] != names[right]) & (names[left] != "") & (names[right] != "")
            left, right, overlaps = left[counts], right[counts], overlaps[counts]
        overlapping += int(overlaps.sum())
        touching += int((~overlaps).sum())
        if example is None and len(left):
            example = str(places.keys[left[0]]), str(places.keys[right[0]])
    return Contacts(overlapping, touching, example)


def refuse_leaks(places: TileFootprints, *, insist: bool = False) -> Contacts:
    """Checks that a random split of single tiles would not leak.

    Raises:
        LeakError: tiles share ground or touch, and the user does not insist.
    """
    found = contacts(places)
    if found and not insist:
        assert found.example is not None
        raise LeakError(
            f"{found.overlapping} pairs of tiles overlap and {found.touching} touch (such as "
            f"{' and '.join(found.example)}). Split at random, a model would be tested on ground "
            "that it was trained on, and its accuracy overstated. Split by block or by scene, or "
            "insist."
        )
    return found


@dataclass(frozen=True)
class _Flat:
    """A plane tangent to the earth at one place."""

    lon: float
    lat: float

    @property
    def crs(self) -> str:
        return (
            f"+proj=aeqd +lat_0={self.lat:.6f} +lon_0={self.lon:.6f} +datum=WGS84 +units=m +no_defs"
        )

    def footprints(self, places: TileFootprints, which: Indexes) -> Polygons:
        corners = places.corners[which]
        xs, ys = reproject(LONLAT, self.crs, corners[..., 0], corners[..., 1])
        polygons: Polygons = shapely.polygons(np.stack([xs, ys], axis=-1))
        return polygons

    def distance(self, lonlat: Floats) -> Floats:
        return great_circle_m(self.lon, self.lat, lonlat[:, 0], lonlat[:, 1])


def great_circle_m(lon: float, lat: float, lons: Floats, lats: Floats) -> Floats:
    """Computes distances on the sphere from one place to others, by the haversine formula.

    >>> pole = great_circle_m(0.0, 0.0, np.array([0.0]), np.array([90.0]))
    >>> pole.round(-3).tolist()
    [10008000.0]
    """
    half_lat, half_lon = np.radians(lats - lat) / 2, np.radians(lons - lon) / 2
    squared = (
        np.sin(half_lat) ** 2
        + np.cos(np.radians(lat)) * np.cos(np.radians(lats)) * np.sin(half_lon) ** 2
    )
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(squared, 0, 1))))


def _cannot_compare(why: str) -> DataError:
    return DataError(f"The places of tiles cannot be compared: {why}.")


def _distance(nearest: Nearest) -> float:
    return nearest.distance_m


def _on_map(places: TileFootprints) -> TileFootprints:
    return places.take(np.flatnonzero(np.isfinite(places.corners).all(axis=(1, 2))))


def _neighbourhoods(places: TileFootprints) -> Iterator[tuple[Indexes, _Flat]]:
    """Yields groups of tiles that are close to each other, with a plane at their middle."""
    rows, cols = blocks_of(places.centres[:, 0], places.centres[:, 1], _NEIGHBOURHOOD_M)
    for row, col in sorted(set(zip(rows.tolist(), cols.tolist(), strict=True))):
        members = np.flatnonzero((rows == row) & (cols == col))
        lons, lats = places.centres[members].T
        # Longitudes are averaged relative to the first, which is safe across the date line.
        unrolled = lons + np.round((lons[0] - lons) / 360) * 360
        yield members, _Flat(float(unrolled.mean()), float(lats.mean()))


def _nearest_flat(
    first: TileFootprints, second: TileFootprints, near: Indexes, members: Indexes, flat: _Flat
) -> Nearest:
    if not len(near):
        return Nearest(float("inf"))
    tree = shapely.STRtree(flat.footprints(first, near))
    pairs, distances = tree.query_nearest(
        flat.footprints(second, members), return_distance=True, all_matches=False
    )
    best = int(distances.argmin())
    return Nearest(
        float(distances[best]),
        str(first.keys[near[pairs[1][best]]]),
        str(second.keys[members[pairs[0][best]]]),
    )


def _nearest_far(first: TileFootprints, second: TileFootprints, members: Indexes) -> Nearest:
    best = Nearest(float("inf"))
    for index in members.tolist() if len(first) else []:
        lon, lat = second.centres[index].tolist()
        ways = great_circle_m(lon, lat, first.centres[:, 0], first.centres[:, 1])
        at = int(ways.argmin())
        if ways[at] < best.distance_m:
            best = Nearest(float(ways[at]), str(first.keys[at]), str(second.keys[index]))
    return best


_Pairs = tuple[Indexes, Indexes, npt.NDArray[np.bool_]]


def _within_scenes(places: TileFootprints) -> Iterator[_Pairs]:
    windows = np.array(
        [(k.window.col, k.window.row, k.window.right, k.window.bottom) for k in places.keys]
    ).reshape(-1, 4)
    for members in _by_scene(places):
        boxes = shapely.box(*windows[members].T)
        left, right = shapely.STRtree(boxes).query(boxes, predicate="intersects")
        left, right = members[left[left < right]], members[right[left < right]]
        first, second = windows[left], windows[right]
        shared = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
        yield left, right, (shared > 0).all(axis=1)


def _by_scene(places: TileFootprints) -> Iterator[Indexes]:
    """Yields the tiles of every scene that has several; each chip is a scene of one tile."""
    found: dict[str, list[int]] = {}
    for index, key in enumerate(places.keys):
        found.setdefault(key.scene_id, []).append(index)
    yield from (np.array(members) for members in found.values() if len(members) > 1)


def _between_scenes(places: TileFootprints) -> Iterator[_Pairs]:
    scenes = np.array([key.scene_id for key in places.keys])
    if len(np.unique(scenes)) < 2:
        return
    known = np.flatnonzero(np.isfinite(places.corners).all(axis=(1, 2)))
    on_map = places.take(known)
    for members, flat in _neighbourhoods(on_map):
        near = np.flatnonzero(flat.distance(on_map.centres) <= _REACH_M)
        mine, theirs = flat.footprints(on_map, members), flat.footprints(on_map, near)
        found, other = shapely.STRtree(theirs).query(mine, predicate="intersects")
        left, right = known[members[found]], known[near[other]]
        kept = (left < right) & (scenes[left] != scenes[right])
        left, right = left[kept], right[kept]
        shared = shapely.area(shapely.intersection(mine[found[kept]], theirs[other[kept]]))
        least = np.minimum(shapely.area(mine[found[kept]]), shapely.area(theirs[other[kept]]))
        yield left, right, shared > _SLIVER * least
