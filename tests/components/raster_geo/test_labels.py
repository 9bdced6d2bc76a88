"""Targets from shapes and masks, against shapely's geometry and counts made by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from rasterio.features import rasterize

from components.raster.errors import ConfigError, DataError
from components.raster.labels.class_raster import ClassLegend, colour_codes, encode
from components.raster.labels.palette import check_palette, read_colours
from components.raster.labels.shapes import PlacedShapes, place_labels, unplaced_labels
from components.raster.labels.targets import as_mask, ignore_value
from components.raster.labels.vectors import LabelSet, VectorLabels, read_labels
from components.raster.reasons import Reason
from components.raster.scene.grid import Grid
from components.raster.tiles.key import Window
from components.raster.truth.detection import tile_boxes
from components.raster.truth.multi_label import classes_of_mask, tile_classes
from components.raster.truth.regression import tile_number
from components.raster.truth.segmentation import tile_mask
from components.raster.truth.shares import shares
from components.raster.truth.single_label import class_of_mask, tile_class

# One unit of the map is one pixel, and the map's y falls where rows rise.
GRID = Grid(100, 100, Affine(1, 0, 500_000, 0, -1, 5_300_000), "EPSG:32632")
TILE = Window(10, 20, 10, 10)
CLASSES = ("field", "forest", "road")

DUBAI_DECLARED = {
    "#50E3C2": "water",
    "#F5A623": "land",
    "#DE597F": "road",
    "#D0021B": "building",
    "#417505": "vegetation",
    "#9B9B9B": "unlabelled",
}
DUBAI_FOUND = {
    "#E2A929": "water",
    "#8429F6": "land",
    "#6EC1E4": "road",
    "#3C1098": "building",
    "#FEDD3A": "vegetation",
    "#9B9B9B": "unlabelled",
}


def placed(*shapes: tuple[shapely.Geometry, int], values: tuple[float, ...] = ()) -> PlacedShapes:
    """Shapes in pixel coordinates: x is the column, y is the row."""
    geometries = np.array([shape for shape, _ in shapes], dtype=object)
    return PlacedShapes(
        geometries,
        np.array([index for _, index in shapes], dtype=np.int64),
        np.array(values or [np.nan] * len(shapes)),
        np.arange(len(shapes)),
    )


def box(row: float, col: float, bottom: float, right: float) -> shapely.Polygon:
    return shapely.box(col, row, right, bottom)


@pytest.fixture
def write_labels(tmp_path: Path) -> Callable[..., VectorLabels]:
    """A GeoJSON file of (geometry, properties)."""

    def write(*features: tuple[Any, dict[str, Any]], **options: Any) -> VectorLabels:
        path = tmp_path / "labels.geojson"
        collection = {
            "type": "FeatureCollection",
            "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}},
            "features": [
                {
                    "type": "Feature",
                    "properties": properties,
                    "geometry": None if geometry is None else shapely.geometry.mapping(geometry),
                }
                for geometry, properties in features
            ],
        }
        path.write_text(json.dumps(collection))
        return VectorLabels(path=str(path), **options)

    return write


# Reading


def test_footprints_of_a_real_scene(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Any]
) -> None:
    """43 buildings; their mask at pixel centres is what rasterio burns from the file itself."""
    folder = shared_data("aerial_detection") / "spacenet_buildings"
    grid = scene_at(folder / "sample_geotiff.tif").bands[0].file.grid
    labels = read_labels(
        VectorLabels(path=str(folder / "geotiff_labels.geojson"), class_name="building")
    )
    assert labels.crs == "EPSG:32616"
    assert len(labels.geometries) == 43
    shapes, rejects = place_labels(labels, grid, ("building", "ground"))
    assert not rejects
    assert not unplaced_labels(labels, [shapes])
    whole = Window(0, 0, 900, 900)
    mask = tile_mask(shapes, whole, 2, background=1)
    features = json.loads((folder / "geotiff_labels.geojson").read_text())["features"]
    burned = rasterize(
        [feature["geometry"] for feature in features],
        out_shape=(900, 900),
        transform=grid.transform,
        default_value=1,
    )
    np.testing.assert_array_equal(mask == 0, burned == 1)
    # Cut into tiles it is the same mask.
    for row in range(0, 900, 300):
        for col in range(0, 900, 300):
            part = tile_mask(shapes, Window(row, col, 300, 300), 2, background=1)
            np.testing.assert_array_equal(part, mask[row : row + 300, col : col + 300])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_footprint_mask_beside_the_scene_agrees(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Any]
) -> None:
    folder = shared_data("aerial_detection") / "spacenet_buildings"
    grid = scene_at(folder / "sample_geotiff.tif").bands[0].file.grid
    labels = read_labels(VectorLabels(path=str(folder / "geotiff_labels.geojson")))
    shapes, _ = place_labels(labels, grid, ("object",))
    touched = tile_mask(shapes, Window(0, 0, 900, 900), 1, rule="any")
    with rasterio.open(folder / "sample_fp_mask_from_geojson.tif") as dataset:
        theirs = dataset.read(1) > 0
    ours = touched == 0
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.9


def test_labels_go_through_another_crs_and_a_geopackage(tmp_path: Path) -> None:
    pixels = box(30, 40, 50, 70)
    on_map = shapely.transform(pixels, lambda p: np.c_[500_000 + p[:, 0], 5_300_000 - p[:, 1]])
    fine = shapely.segmentize(on_map, 1)
    to_degrees = pyproj.Transformer.from_crs(32632, 4326, always_xy=True).transform
    degrees = shapely.transform(fine, lambda p: np.c_[to_degrees(p[:, 0], p[:, 1])])
    path = tmp_path / "labels.gpkg"
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(np.array([degrees])),
        field_data=[np.array(["forest"], dtype=object)],
        fields=["kind"],
        geometry_type="Polygon",
        crs="EPSG:4326",
        driver="GPKG",
    )
    labels = read_labels(VectorLabels(path=str(path), class_field="kind"))
    shapes, _ = place_labels(labels, GRID, CLASSES)
    assert shapes.classes.tolist() == [1]
    assert shapes.geometries[0].symmetric_difference(pixels).area < 1e-3


def test_what_cannot_be_used_is_named(write_labels: Any) -> None:
    bow = shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)])
    config = write_labels(
        (shapely.box(0, 0, 1, 1), {"kind": "field", "tons": 2.5}),
        (None, {"kind": "field", "tons": 1}),
        (shapely.LineString([(0, 0), (1, 1)]), {"kind": "road", "tons": 1}),
        (shapely.box(0, 0, 1, 1), {"kind": None, "tons": 1}),
        (bow, {"kind": "field", "tons": 1}),
        (shapely.box(0, 0, 1, 1), {"kind": "field", "tons": None}),
        class_field="kind",
        number_field="tons",
        crossing="reject",
    )
    labels = read_labels(config)
    assert labels.values.tolist() == [2.5]
    assert [(reject.number, reject.reason) for reject in labels.rejects] == [
        (1, Reason.EMPTY_GEOMETRY),
        (2, Reason.UNSUPPORTED_GEOMETRY),
        (3, Reason.NO_CLASS),
        (4, Reason.SELF_CROSSING),
        (5, Reason.NO_NUMBER),
    ]


def test_a_crossing_polygon_is_repaired_to_the_ground_it_encloses(write_labels: Any) -> None:
    bow = shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)])
    labels = read_labels(write_labels((bow, {})))
    assert labels.repaired == (0,)
    # Two triangles of 4 x 2 / 2.
    assert labels.geometries[0].area == pytest.approx(8)


def test_labels_elsewhere_and_of_unknown_classes_are_rejects(write_labels: Any) -> None:
    here = shapely.box(500_010, 5_299_950, 500_020, 5_299_960)
    config = write_labels(
        (here, {"kind": "field"}),
        (here, {"kind": "lake"}),
        (shapely.box(0, 0, 5, 5), {"kind": "field"}),
        class_field="kind",
    )
    labels = read_labels(config)
    assert labels.class_names == ("field", "lake")
    shapes, rejects = place_labels(labels, GRID, CLASSES)
    assert [(reject.number, reject.reason) for reject in rejects] == [(1, Reason.UNKNOWN_CLASS)]
    nowhere = unplaced_labels(labels, [shapes])
    assert [reject.number for reject in nowhere if reject.number != 1] == [2]


def test_files_that_cannot_be_labels_are_refused(tmp_path: Path, write_labels: Any) -> None:
    with pytest.raises(ConfigError, match=r"lack a known suffix: \.geojson"):
        read_labels(VectorLabels(path=str(tmp_path / "labels.csv")))
    with pytest.raises(DataError, match="do not exist"):
        read_labels(VectorLabels(path=str(tmp_path / "labels.gpkg")))
    broken = tmp_path / "broken.geojson"
    broken.write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(VectorLabels(path=str(broken)))
    config = write_labels((shapely.box(0, 0, 1, 1), {"kind": "field"}), class_field="sort")
    with pytest.raises(ConfigError, match="no field sort; it has kind"):
        read_labels(config)


# Rules


def test_majority_counts_the_uncovered_ground_as_well() -> None:
    shapes = placed((box(10, 20, 20, 24), 0), (box(10, 24, 20, 25), 1))
    assert shares(shapes, TILE) == pytest.approx({0: 0.4, 1: 0.1})
    assert tile_class(shapes, TILE, "majority") is None
    wider = placed((box(10, 20, 20, 25.5), 0), (box(10, 25.5, 20, 30), 1))
    assert tile_class(wider, TILE, "majority") == 0


def test_ground_covered_twice_by_a_class_counts_once() -> None:
    shapes = placed((box(10, 20, 20, 24), 0), (box(10, 20, 20, 24), 0), (box(10, 24, 20, 30), 1))
    assert shares(shapes, TILE) == pytest.approx({0: 0.4, 1: 0.6})
    assert tile_class(shapes, TILE, "majority") == 1


def test_the_last_shape_lies_on_top_at_the_centre() -> None:
    under, over = (box(0, 0, 90, 90), 0), (box(14, 24, 16, 26), 2)
    assert tile_class(placed(under, over), TILE, "centre") == 2
    assert tile_class(placed(over, under), TILE, "centre") == 0
    assert tile_class(placed((box(10, 20, 14, 30), 1)), TILE, "centre") is None


def test_several_classes_by_any_and_by_fraction() -> None:
    shapes = placed((box(10, 20, 20, 28), 0), (box(10, 29.5, 20, 40), 1), (box(0, 0, 10, 100), 2))
    # The road only touches the tile's upper edge.
    assert tile_classes(shapes, TILE, "any") == (0, 1)
    assert tile_classes(shapes, TILE, "fraction", 0.05) == (0, 1)
    assert tile_classes(shapes, TILE, "fraction", 0.051) == (0,)


def test_numbers_are_weighted_by_ground() -> None:
    shapes = placed((box(10, 20, 20, 26), 0), (box(10, 26, 20, 28), 0), values=(1.0, 5.0))
    assert tile_number(shapes, TILE, "mean") == pytest.approx((6 * 1 + 2 * 5) / 8)
    assert tile_number(shapes, TILE, "centre") == 1.0
    assert tile_number(shapes, TILE, "count") == 2.0
    assert tile_number(shapes, Window(50, 50, 5, 5), "mean") is None


def test_points_belong_to_one_tile_each() -> None:
    shapes = placed(
        (shapely.Point(30, 15), 0), (shapely.Point(20, 10), 1), (shapely.Point(29.9, 19.9), 1),
        values=(1.0, 2.0, 4.0),
    )  # fmt: skip
    right = Window(10, 30, 10, 10)
    assert tile_number(shapes, TILE, "count") == 2.0
    assert tile_number(shapes, right, "count") == 1.0
    assert tile_class(shapes, TILE, "majority") == 1
    assert tile_class(shapes, right, "majority") == 0
    assert tile_number(shapes, TILE, "mean") == 3.0
    with pytest.raises(ConfigError, match="Points have no ground"):
        tile_class(shapes, TILE, "centre")


# Boxes


def test_boxes_are_clipped_and_what_hardly_shows_is_left_out() -> None:
    inside, half, sliver = box(12, 22, 14, 25), box(15, 28, 17, 32), box(5, 20, 10.5, 24)
    found = tile_boxes(placed((inside, 0), (half, 1), (sliver, 2)), TILE, min_visible=0.25)
    np.testing.assert_allclose(found.edges_px, [[2, 2, 4, 5], [5, 8, 7, 10]])
    assert found.classes.tolist() == [0, 1]
    np.testing.assert_allclose(found.visible, [1.0, 0.5])


def test_points_become_boxes_of_a_size() -> None:
    shapes = placed((shapely.Point(25, 15), 0))
    np.testing.assert_allclose(tile_boxes(shapes, TILE, point_size_px=4).edges_px, [[3, 3, 7, 7]])
    with pytest.raises(ConfigError, match="point_size_px"):
        tile_boxes(shapes, TILE)


def test_a_tile_without_objects_has_no_boxes() -> None:
    found = tile_boxes(placed(), TILE)
    assert found.edges_px.shape == (0, 4)
    assert found.edges_px.dtype == np.float32


# Masks


@given(
    st.lists(
        st.tuples(
            st.floats(0, 30), st.floats(0, 40), st.floats(1, 20), st.floats(1, 20),
            st.integers(0, 2),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_a_mask_holds_at_each_centre_the_shape_on_top(
    rectangles: list[tuple[float, float, float, float, int]],
) -> None:
    shapes = placed(*((box(r, c, r + h, c + w), index) for r, c, h, w, index in rectangles))
    mask = tile_mask(shapes, TILE, 3)
    for row in range(10):
        for col in range(10):
            y, x = TILE.row + row + 0.5, TILE.col + col + 0.5
            covering = [
                index for r, c, h, w, index in rectangles if r < y < r + h and c < x < c + w
            ]
            on_edge = any(y in (r, r + h) or x in (c, c + w) for r, c, h, w, _ in rectangles)
            if not on_edge:
                assert mask[row, col] == (covering[-1] if covering else 255)


def test_pixel_rules_differ_at_edges() -> None:
    shapes = placed((box(10, 20, 20, 22.25), 0))
    columns = {
        rule: int((tile_mask(shapes, TILE, 2, rule=rule, background=1)[0] == 0).sum())
        for rule in ("centre", "any", "majority")
    }
    assert columns == {"centre": 2, "any": 3, "majority": 2}
    quarter = tile_mask(shapes, TILE, 2, rule="fraction", min_fraction=0.25, background=1)
    assert (quarter[0] == 0).sum() == 3


def test_majority_of_a_pixel_goes_to_the_largest_share() -> None:
    shapes = placed((box(10, 20, 20, 20.375), 0), (box(10, 20.375, 20, 21), 1))
    assert (tile_mask(shapes, TILE, 3, rule="majority")[:, 0] == 1).all()
    assert (tile_mask(shapes, TILE, 3, rule="majority")[:, 1] == 255).all()


def test_pixels_without_data_are_ignored() -> None:
    valid = np.ones((10, 10), bool)
    valid[:3] = False
    mask = tile_mask(placed((box(0, 0, 90, 90), 1)), TILE, 3, valid=valid)
    assert (mask[:3] == 255).all()
    assert (mask[3:] == 1).all()
    assert mask.dtype == np.uint8


def test_many_classes_need_wider_masks() -> None:
    assert as_mask(np.array([[254, 255]]), 255).dtype == "uint8"
    assert as_mask(np.array([[254, 65535]]), 256).dtype == "uint16"
    assert (ignore_value(255), ignore_value(256)) == (255, 65535)


def test_a_class_or_several_from_a_mask() -> None:
    mask = np.array([[0, 0, 255, 255], [1, 2, 255, 255], [1, 1, 0, 255], [1, 1, 1, 255]], "uint8")
    assert class_of_mask(mask, 3, "majority") == 1
    assert class_of_mask(mask, 3, "centre") == 0
    assert class_of_mask(np.full((2, 2), 255, "uint8"), 3, "majority") is None
    assert classes_of_mask(mask, 3, "any") == (0, 1, 2)
    assert classes_of_mask(mask, 3, "fraction", 3 / 16) == (0, 1)


# Class rasters and palettes


def test_values_become_classes_and_strangers_are_counted(
    shared_data: Callable[[str], Path],
) -> None:
    with rasterio.open(shared_data("geotiff_multiband") / "stars_nlcd_lc.tif") as dataset:
        codes = dataset.read(1)
    present, counts = np.unique(codes, return_counts=True)
    values = {int(value): f"class {value}" for value in present[:-1]}
    names = tuple(sorted(set(values.values())))
    found = encode(codes, ClassLegend(values=values), names)
    assert found.undeclared == {int(present[-1]): int(counts[-1])}
    for value, count in zip(present[:-1], counts[:-1], strict=True):
        assert (found.pixels == names.index(f"class {value}")).sum() == count
    assert (found.pixels == 255).sum() == counts[-1]


def test_a_legend_says_one_thing() -> None:
    with pytest.raises(ValidationError, match="either values or colours"):
        ClassLegend()
    with pytest.raises(ValidationError, match="not a colour of the form"):
        ClassLegend(colours={"#12": "a"})
    with pytest.raises(ValidationError, match="ignore names b"):
        ClassLegend(values={1: "a"}, ignore=("b",))
    assert ClassLegend(colours={"#ffffff": "a"}).colours == {"#FFFFFF": "a"}


def test_wrongly_declared_colours_are_reported(shared_data: Callable[[str], Path]) -> None:
    """The collection's own class list declares five colours that no mask has."""
    masks = sorted((shared_data("dubai_segmentation") / "masks").glob("*.png"))
    report = check_palette(masks, ClassLegend(colours=DUBAI_DECLARED, ignore=("unlabelled",)))
    assert not report.passed
    assert set(report.missing) == set(DUBAI_DECLARED) - {"#9B9B9B"}
    assert set(DUBAI_FOUND) - {"#9B9B9B"} <= set(report.undeclared)
    assert report.undeclared_fraction > 0.95
    text = report.text()
    assert "#8429F6" in text
    assert "Declared and never found: #50E3C2 (water)" in text


def test_rightly_declared_colours_leave_only_the_undocumented_one(
    shared_data: Callable[[str], Path],
) -> None:
    masks = sorted((shared_data("dubai_segmentation") / "masks").glob("*.png"))
    report = check_palette(masks, ClassLegend(colours=DUBAI_FOUND, ignore=("unlabelled",)))
    assert report.undeclared == ("#000000",)
    assert report.missing == ()
    assert sum(report.pixels.values()) == sum(read_colours(path)[..., 0].size for path in masks)


def test_masks_of_colours_become_class_indexes(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("dubai_segmentation")
    masks = sorted((folder / "masks").glob("*.png"))
    assert len(masks) == 27
    legend = ClassLegend(colours=DUBAI_FOUND, ignore=("unlabelled",))
    for mask_path in masks[::9]:
        rgb = read_colours(mask_path)
        found = encode(colour_codes(rgb), legend, legend.class_names)
        water = (rgb == (0xE2, 0xA9, 0x29)).all(axis=2)
        np.testing.assert_array_equal(found.pixels == legend.class_names.index("water"), water)


def test_an_altered_colour_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    pixels = np.full((4, 4, 3), (0xE2, 0xA9, 0x29), np.uint8)
    pixels[0, 0] = (0xE0, 0xAB, 0x2C)
    Image.fromarray(pixels).save(path)
    report = check_palette([path], ClassLegend(colours=DUBAI_FOUND))
    assert report.suggestions() == {"#E0AB2C": "#E2A929"}
    assert "close to #E2A929 (water)" in report.text()


def test_no_masks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no masks"):
        check_palette([], ClassLegend(colours=DUBAI_FOUND))
    (tmp_path / "mask.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot be read"):
        read_colours(tmp_path / "mask.png")


def test_a_set_keeps_its_order(write_labels: Any) -> None:
    first, second = shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3)
    labels: LabelSet = read_labels(
        write_labels((first, {"k": 2}), (second, {"k": 1}), class_field="k")
    )
    assert labels.classes.tolist() == ["2", "1"]
    assert labels.class_names == ("1", "2")
