"""Boxes, footprints, areas and labels around the date line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine

from components.raster.labels.rejects import LabelReject
from components.raster.labels.shapes import PlacedShapes, place_labels
from components.raster.labels.vectors import VectorLabels, read_labels
from components.raster.scene.date_line import box_of, shares_ground, turned_to
from components.raster.scene.grid import Grid, reproject
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.stac import find_stac_scenes
from components.raster.scene.stac_query import StacQuery
from components.raster.spatial.places import TileFootprints
from components.raster.spatial.rules import ByArea, assign
from components.raster.split import SplitConfig
from components.raster.tiles.areas import area_in_pixels
from components.raster.tiles.key import TileKey, Window

FIJI = shapely.MultiPolygon([shapely.box(179, -19, 180, -17), shapely.box(-180, -19, -179, -17)])
#: Fiji as some write it: a ring that jumps over the line, and one that runs on past it.
JUMPING = shapely.Polygon([(179, -19), (-179, -19), (-179, -17), (179, -17)])
RUNNING_ON = shapely.box(179, -19, 181, -17)


def degrees_grid(west: float, width_deg: float = 2) -> Grid:
    """100 rows of 0.02 degrees southwards from 17 S."""
    return Grid(100, round(width_deg * 50), Affine(0.02, 0, west, 0, -0.02, -17), "EPSG:4326")


@pytest.mark.parametrize("footprint", [FIJI, JUMPING, RUNNING_ON])
@pytest.mark.parametrize(
    ("bounds", "meets"),
    [
        ((178, -20, -178, -16), True),
        ((179.5, -20, 179.6, -16), True),
        ((-179.6, -20, -179.5, -16), True),
        ((-180, -90, 180, 90), True),
        ((-178.5, -20, 178.5, -16), False),
        ((9, -20, 13, -16), False),
        ((178, -16, -178, -10), False),
    ],
)
def test_a_footprint_over_the_line_meets_boxes_on_both_sides(
    footprint: shapely.Geometry, bounds: Any, meets: bool
) -> None:
    assert shares_ground(footprint, box_of(bounds)) == meets


def test_a_map_of_the_whole_earth_meets_every_box() -> None:
    earth = shapely.box(-180, -90, 180, 90)
    for bounds in ((178, -20, -178, -16), (9, -20, 13, -16)):
        assert shares_ground(earth, box_of(bounds))


def test_holes_stay_in_their_polygon() -> None:
    hole = [(179.5, -18.5), (-179.5, -18.5), (-179.5, -17.5), (179.5, -17.5)]
    ring = shapely.Polygon(JUMPING.exterior, [hole])
    turned = turned_to(ring, 178, 182)
    assert turned.equals(shapely.box(179, -19, 181, -17) - shapely.box(179.5, -18.5, 180.5, -17.5))
    west = turned_to(ring, -182, -178)
    assert west.bounds == (-181, -19, -179, -17)


def test_items_on_both_sides_are_found(tmp_path: Path) -> None:
    boxes = {"west": (177, -19, 178, -17), "east": (-178, -19, -177, -17), "far": (10, -19, 12, 1)}
    shapes = {name: shapely.box(*box) for name, box in boxes.items()} | {"over": JUMPING}
    features = [
        {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": name,
            "geometry": json.loads(shapely.to_geojson(shape)),
            "bbox": list(shape.bounds),
            "properties": {"datetime": "2024-01-01T00:00:00Z"},
            "links": [],
            "assets": {"B1": {"href": "./a.tif", "type": "image/tiff", "roles": ["data"]}},
        }
        for name, shape in shapes.items()
    ]
    source = tmp_path / "items.json"
    source.write_text(json.dumps({"type": "FeatureCollection", "features": features}))

    def ids(*bbox: float) -> set[str]:
        query = StacQuery.model_validate({"source": str(source), "bbox": bbox})
        return {found.scene_id for found in find_stac_scenes(query)}

    assert ids(177.5, -20, -177.5, -16) == {"west", "east", "over"}
    assert ids(178.5, -20, -178.5, -16) == {"over"}
    assert ids(177.5, -20, 180, -16) == {"west", "over"}
    assert ids(9, -20, 13, -16) == {"far"}


@pytest.mark.parametrize(
    ("bbox", "message"),
    [
        ((500_000, 0, 600_000, 100_000), "degrees"),
        ((0, 0, 181, 1), "degrees"),
        ((0, -91, 1, 1), "degrees"),
        ((178, -16, 180, -20), "south, -16, is greater than north, -20"),
        ((0, 0, float("nan"), 1), "finite"),
        ((0, 0, 1, float("inf")), "finite"),
        ((0, 0, 1), "required"),
    ],
)
def test_a_box_that_is_none_is_refused(bbox: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StacQuery.model_validate({"source": "items.json", "bbox": bbox})


@pytest.mark.parametrize("west", [179, -181])
@pytest.mark.parametrize("area", [FIJI, JUMPING, RUNNING_ON])
def test_an_area_over_the_line_lies_on_a_scene_over_it(area: shapely.Geometry, west: float) -> None:
    half = shapely.intersection(turned_to(area, 179, 181), shapely.box(179, -18, 181, -17))
    found = area_in_pixels("scene", degrees_grid(west), half)
    assert shapely.box(0, 0, 100, 50).symmetric_difference(found).area < 1e-6


def test_an_area_over_the_line_lies_on_a_scene_in_metres() -> None:
    """Zone 60 reaches from 174 to 180 degrees east; the scene extends beyond."""
    x, y = (
        float(it[0]) for it in reproject("OGC:CRS84", "EPSG:32760", *np.array([[180.0], [-17]]))
    )
    grid = Grid(100, 100, Affine(1000, 0, x - 50_000, 0, -1000, y), "EPSG:32760")
    found = [area_in_pixels("scene", grid, area) for area in (FIJI, JUMPING, RUNNING_ON)]
    assert found[0].area == pytest.approx(100 * 100, rel=0.05)
    assert [one.area for one in found[1:]] == pytest.approx([found[0].area] * 2, rel=1e-3)
    with pytest.raises(SceneRejected, match="no ground"):
        area_in_pixels("scene", grid, shapely.box(10, -19, 12, -17))


def placed(tmp_path: Path, grid: Grid, *shapes: shapely.Geometry) -> PlacedShapes:
    path = tmp_path / "labels.geojson"
    features = [
        {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(shape))}
        for shape in shapes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found: tuple[PlacedShapes, tuple[LabelReject, ...]] = place_labels(
        read_labels(VectorLabels(path=str(path))), grid, ("object",)
    )
    assert not found[1]
    return found[0]


def test_labels_lie_on_rasters_that_count_longitudes_to_360(tmp_path: Path) -> None:
    grid = degrees_grid(300)
    shapes = placed(tmp_path, grid, shapely.box(-60, -18, -59, -17), shapely.Point(-59.5, -17.5))
    assert [shape.bounds for shape in shapes.geometries] == [
        pytest.approx((0, 0, 50, 50)),
        pytest.approx((25, 25, 25, 25)),
    ]


def test_a_label_over_the_line_is_one_label(tmp_path: Path) -> None:
    shapes = placed(tmp_path, degrees_grid(179), FIJI, shapely.box(9, 1, 10, 2))
    [only] = shapes.geometries
    assert shapely.box(0, 0, 100, 100).symmetric_difference(only).area < 1e-6


def test_a_tile_over_the_line_lies_wholly_in_an_area_over_it(tmp_path: Path) -> None:
    path = tmp_path / "areas.geojson"
    features = [
        {
            "type": "Feature",
            "properties": {"split": "test"},
            "geometry": json.loads(shapely.to_geojson(FIJI)),
        }
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    corners = np.array([[[179.9, -17.5], [-179.9, -17.5], [-179.9, -18], [179.9, -18]]])
    for centre in (179.99, -179.99):
        places = TileFootprints(
            keys=(TileKey("scene", Window(0, 0, 8, 8)),),
            centres=np.array([[centre, -17.75]]),
            corners=corners,
            acquired=(None,),
            groups=(None,),
        )
        rule = ByArea(path=str(path))
        areas = read_labels(VectorLabels(path=str(path), class_field="split"))
        assert assign(places, rule, SplitConfig(), areas=areas).splits == ("test",)
