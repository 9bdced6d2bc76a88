"""Vector files, picture and STAC item of a map, read back by other libraries."""

import ctypes
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pystac
import pytest
import rasterio
import rasterio.warp
import shapely
from affine import Affine
from PIL import Image
from pyproj import Geod
from stac_model.base import TaskEnum

from components.mapping.class_table import ClassTable
from components.mapping.config import MapConfig
from components.mapping.ground_area import ground_m2
from components.mapping.maps import map_scene
from components.mapping.stac_item import bbox_of, footprint
from components.raster.pictures.scale_bar import round_length
from components.raster.scene.grid import Grid
from tests.components.mapping.networks import (
    UTM,
    Network,
    contract_of,
    smooth_ground,
    write_scene,
)

FORMATS = ("parquet", "fgb", "gpkg", "geojson")


def make(tmp_path, pixels, *, scene=None, **settings):
    source = write_scene(tmp_path / "scene.tif", pixels, **(scene or {}))
    config = MapConfig.model_validate({"vectors": FORMATS, **settings})
    network = Network(contract_of())
    network.item = str(tmp_path / "provenance" / "stac_item.json")
    return map_scene(source, network, config, tmp_path / "maps")


@pytest.fixture
def ground():
    """A field of `middle`, 20 rows by 10 columns from (5, 30), in `low`, and a hole in it."""
    pixels = np.full((60, 80), 166, np.uint16)
    pixels[5:25, 30:40] = 500
    pixels[10:12, 33:36] = 0
    return pixels


def read_parquet(path):
    table = pq.read_table(path)
    return json.loads(table.schema.metadata[b"geo"]), table.to_pydict()


def test_polygons_are_the_ground_of_each_class(tmp_path, ground):
    found = make(tmp_path, ground)
    document, table = read_parquet(found.folder / "polygons.parquet")
    assert document["version"] == "1.1.0"
    geometry = document["columns"]["geometry"]
    assert geometry["crs"]["id"] == {"authority": "EPSG", "code": 32632}
    assert geometry["covering"]["bbox"]["xmax"] == ["bbox", "xmax"]
    assert sorted(table["class"]) == ["low", "middle"]
    row = table["class"].index("middle")
    field = shapely.from_wkb(table["geometry"][row])
    outline = shapely.box(500_300, 5_299_750, 500_400, 5_299_950)
    assert field.equals(outline - shapely.box(500_330, 5_299_880, 500_360, 5_299_900))
    assert (table["pixels"][row], table["area_m2"][row]) == (194, 19_400)
    assert table["bbox"][row] == {
        "xmin": 500_300,
        "ymin": 5_299_750,
        "xmax": 500_400,
        "ymax": 5_299_950,
    }


def test_areas_are_those_of_the_ground_in_web_mercator(tmp_path, ground):
    # At 60 degrees north a metre of Web Mercator measures half a metre on the ground.
    place = Affine(20, 0, 1_000_000, 0, -20, 8_399_737.9)
    found = make(tmp_path, ground, scene={"crs": "EPSG:3857", "transform": place})
    _, table = read_parquet(found.folder / "polygons.parquet")
    row = table["class"].index("middle")
    assert table["area_m2"][row] == pytest.approx(19_400, rel=0.01)


@pytest.mark.parametrize("suffix", ["fgb", "gpkg"])
def test_other_formats_hold_the_same(tmp_path, ground, suffix):
    found = make(tmp_path, ground)
    meta, _, geometries, columns = pyogrio.raw.read(found.folder / f"polygons.{suffix}")
    values = dict(zip(meta["fields"], columns, strict=True))
    assert meta["crs"] == "EPSG:32632"
    row = list(values["class"]).index("middle")
    assert shapely.from_wkb(geometries[row]).area == 19_400
    assert values["pixels"][row] == 194


def test_geojson_is_in_longitude_and_latitude(tmp_path, ground):
    found = make(tmp_path, ground)
    tree = json.loads((found.folder / "polygons.geojson").read_text())
    assert "crs" not in tree
    [field] = [it for it in tree["features"] if it["properties"]["class"] == "middle"]
    polygon = shapely.geometry.shape(field["geometry"])
    assert polygon.exterior.is_ccw
    [east], [north] = rasterio.warp.transform(UTM, "OGC:CRS84", [500_350], [5_299_850])
    assert shapely.Polygon(polygon.exterior).centroid.distance(shapely.Point(east, north)) < 2e-6


def test_geojson_keeps_pixels_of_a_centimetre(tmp_path):
    pixels = np.full((40, 40), 166, np.uint16)
    pixels[4:37:4, 4:37:4] = 500
    place = Affine(0.01, 0, 500_300, 0, -0.01, 5_299_750)
    source = write_scene(tmp_path / "scene.tif", pixels, transform=place)
    network, config = Network(contract_of(gsd_m=0.01)), MapConfig(vectors=("geojson",))
    found = map_scene(source, network, config, tmp_path / "maps")
    tree = json.loads((found.folder / "polygons.geojson").read_text())
    shapes = [shapely.geometry.shape(it["geometry"]) for it in tree["features"]]
    assert shapely.is_valid(shapes).all()
    fields = [
        shape
        for shape, it in zip(shapes, tree["features"], strict=True)
        if it["properties"]["class"] == "middle"
    ]
    areas = [abs(Geod(ellps="WGS84").geometry_area_perimeter(it)[0]) for it in fields]
    assert areas == pytest.approx([1e-4] * 81, rel=0.05)


def test_small_polygons_are_left_out_and_borders_stay_shared(tmp_path):
    rows, cols = np.mgrid[:120, :120]
    pixels = np.where(cols > rows, 500, 166).astype(np.uint16)  # a border in steps
    pixels[100, 10] = 833
    found = make(tmp_path, pixels, polygons={"min_area_px": 4, "simplify_px": 2})
    _, table = read_parquet(found.folder / "polygons.parquet")
    assert sorted(table["class"]) == ["low", "middle"]
    first, second = (shapely.from_wkb(it) for it in table["geometry"])
    assert len(shapely.get_coordinates([first, second])) < 60  # of some 480 steps
    assert first.intersection(second).area == 0
    assert first.union(second).area >= 120 * 120 * 100 - 100  # less the speck


def test_gdal_finds_the_table_of_classes_beside_the_raster(tmp_path, ground):
    """By GDAL's own functions: rasterio has none for attribute tables."""
    found = make(tmp_path, ground)
    [library] = Path(rasterio.__file__).parent.with_name("rasterio.libs").glob("libgdal*")
    gdal = ctypes.CDLL(str(library))
    for name in ("GDALOpen", "GDALGetRasterBand", "GDALGetDefaultRAT"):
        getattr(gdal, name).restype = ctypes.c_void_p
    gdal.GDALRATGetValueAsString.restype = gdal.GDALRATGetNameOfCol.restype = ctypes.c_char_p
    gdal.GDALAllRegister()
    dataset = ctypes.c_void_p(gdal.GDALOpen(str(found.folder / "classes.tif").encode(), 0))
    band = ctypes.c_void_p(gdal.GDALGetRasterBand(dataset, 1))
    table = ctypes.c_void_p(gdal.GDALGetDefaultRAT(band))
    columns = range(gdal.GDALRATGetColumnCount(table))
    rows = [
        [gdal.GDALRATGetValueAsString(table, row, column).decode() for column in columns]
        for row in range(gdal.GDALRATGetRowCount(table))
    ]
    names = [gdal.GDALRATGetNameOfCol(table, column).decode() for column in columns]
    usages = [gdal.GDALRATGetUsageOfCol(table, column) for column in columns]
    gdal.GDALClose(dataset)
    assert names == ["Value", "Class", "Red", "Green", "Blue", "Count"]
    assert usages == [5, 2, 6, 7, 8, 1]  # GFU_MinMax, Name, Red, Green, Blue, PixelCount
    assert rows == [
        ["0", "low", "230", "159", "0", str(60 * 80 - 200)],
        ["1", "middle", "86", "180", "233", "194"],
        ["2", "high", "0", "158", "115", "0"],
    ]


def test_the_item_tells_files_scene_and_model(tmp_path, ground):
    found = make(tmp_path, ground)
    item = pystac.Item.from_file(str(found.folder / "item.json"))
    assert {"classes", "confidence", "polygons_parquet", "picture"} <= set(item.assets)
    for asset in item.assets.values():
        assert (found.folder / asset.href).resolve().exists()
    assert item.properties["processing:level"] == "L4"
    assert item.properties["processing:software"]["made"] == "7"
    assert item.properties["mlm:name"] == "made"
    assert TaskEnum(item.properties["mlm:tasks"][0])
    links = item.get_links("derived_from")
    assert [link.href.rpartition("/")[2] for link in links] == ["scene.tif", "stac_item.json"]
    assert item.properties["processing:expression"]["expression"] == links[1].href
    classes = item.assets["classes"].extra_fields["classification:classes"]
    assert [(it["name"], it["count"]) for it in classes] == [
        ("low", 60 * 80 - 200),
        ("middle", 194),
        ("high", 0),
    ]
    # Schemas of extensions are not on this machine; that of the core comes with pystac.
    pystac.validation.validate_dict(item.to_dict() | {"stac_extensions": []})
    with rasterio.open(found.folder / "classes.tif") as dataset:
        west, south, east, north = rasterio.warp.transform_bounds(
            dataset.crs, "OGC:CRS84", *dataset.bounds
        )
    assert item.bbox == pytest.approx([west, south, east, north], abs=1e-6)
    assert {path.name for path in found.folder.iterdir()} == {*found.files, "map.json"}


def test_the_picture_shows_scene_and_answer(tmp_path, ground):
    found = make(tmp_path, ground)
    picture = np.asarray(Image.open(found.folder / "map.png").convert("RGB"))
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert {(230, 159, 0), (86, 180, 233)} <= colours  # low and middle
    middle = (picture == (86, 180, 233)).all(axis=-1)
    _rows, cols = np.nonzero(middle[: picture.shape[0] // 2])
    assert cols.min() > picture.shape[1] / 2  # the answer is on the right


@pytest.mark.parametrize(("most", "length"), [(1234, 1000), (4999, 2000), (0.7, 0.5), (50, 50)])
def test_the_scale_bar_has_a_round_length(most, length):
    assert round_length(most) == length


def test_across_the_date_line(tmp_path):
    """A scene from 179.9 east to 179.9 west: one raster, and polygons cut at the line."""
    transform = Affine(0.001, 0, 179.9, 0, -0.001, -16)
    pixels = np.full((50, 200), 500, np.uint16)
    scene = {"transform": transform, "crs": "EPSG:4326"}
    source = write_scene(tmp_path / "scene.tif", pixels, **scene)
    network = Network(contract_of(gsd_m=111.0))
    config = MapConfig(vectors=("geojson", "parquet"))
    found = map_scene(source, network, config, tmp_path / "maps")
    with rasterio.open(found.folder / "classes.tif") as dataset:
        assert dataset.transform == transform
        assert (dataset.read(1) == 1).all()
    item = pystac.Item.from_file(str(found.folder / "item.json"))
    assert item.bbox == pytest.approx([179.9, -16.05, -179.9, -16.0])
    assert item.geometry["type"] == "MultiPolygon"
    tree = json.loads((found.folder / "polygons.geojson").read_text())
    shapes = [shapely.geometry.shape(it["geometry"]) for it in tree["features"]]
    assert sum(it.area for it in shapes) == pytest.approx(0.2 * 0.05, rel=1e-3)
    assert max(abs(shapely.get_coordinates(shapes)[:, 0])) <= 180
    _, table = read_parquet(found.folder / "polygons.parquet")
    outline = shapely.segmentize(shapely.box(179.9, -16.05, 180.1, -16), 0.01)
    area_m2, _ = Geod(ellps="WGS84").geometry_area_perimeter(outline)
    assert table["area_m2"] == pytest.approx([area_m2], rel=1e-4)


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        # At 80 degrees south a metre of the map measures 0.98 m: stereographic, true at 71.
        ("EPSG:3031", Affine(1000, 0, 300_000, 0, -1000, 1_000_000)),
        ("EPSG:3034", Affine(10_000, 0, 3_000_000, 0, -10_000, 3_500_000)),
        ("EPSG:4326", Affine(0.5, 0, 0, 0, -0.5, 60)),
        ("EPSG:2263", Affine(30, 0, 900_000, 0, -30, 200_000)),  # US survey feet
        ("EPSG:32632", Affine(1000, 0, 500_000, 0, -1000, 5_300_000)),
    ],
)
def test_areas_are_those_of_the_ground_in_every_crs(crs, place):
    grid = Grid(60, 80, place, crs)
    corners = np.array([(0, 0), (80, 0), (80, 60), (0, 60)], float)
    outline = shapely.Polygon(np.stack(place * corners.T, axis=1))
    [area] = ground_m2(np.array([outline]), grid, crs)
    fine = shapely.get_coordinates(shapely.segmentize(outline, outline.length / 10_000))
    lonlat = rasterio.warp.transform(crs, "OGC:CRS84", *fine.T)
    truth, _ = Geod(ellps="WGS84").polygon_area_perimeter(*lonlat)
    assert area == pytest.approx(abs(truth), rel=0.002)


def test_areas_of_the_whole_earth_add_up():
    grid = Grid(180, 360, Affine(1, 0, -180, 0, -1, 90), "EPSG:4326")
    halves = np.array([shapely.box(-180, -90, 10, 90), shapely.box(10, -90, 180, 90)])
    areas = ground_m2(halves, grid, "EPSG:4326")
    assert areas.sum() == pytest.approx(510_065_621e6, rel=1e-6)
    assert areas[0] == pytest.approx(areas.sum() * 190 / 360, rel=1e-6)


def test_long_edges_in_geojson_follow_the_map(tmp_path):
    """Half of an edge of 100 km lies 200 m from the line between its ends."""
    pixels = np.full((50, 100), 500, np.uint16)
    place = Affine(1000, 0, 550_000, 0, -1000, 5_300_000)
    source = write_scene(tmp_path / "scene.tif", pixels, transform=place)
    network, config = Network(contract_of(gsd_m=1000.0)), MapConfig(vectors=("geojson",))
    found = map_scene(source, network, config, tmp_path / "maps")
    [feature] = json.loads((found.folder / "polygons.geojson").read_text())["features"]
    outline = shapely.geometry.shape(feature["geometry"]).exterior
    [east], [north] = rasterio.warp.transform(UTM, "OGC:CRS84", [600_000], [5_300_000])
    metres = outline.distance(shapely.Point(east, north)) * 111_000
    assert metres < 1


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3995", 90), ("EPSG:3031", -90)])
def test_a_footprint_around_a_pole_holds_the_pole(crs, pole):
    grid = Grid(200, 260, Affine(1000, 0, -130_000, 0, -1000, 90_000), crs)
    ground = footprint(grid)
    assert ground.is_valid
    # The nearest edge is 90 km from the pole, the farthest corner 170: 0.8 and 1.6 degrees.
    near = [shapely.Point(lon, pole - np.sign(pole) * 0.7) for lon in range(-180, 181, 20)]
    far = [shapely.Point(lon, pole - np.sign(pole) * 1.7) for lon in range(-180, 181, 20)]
    assert ground.intersects(near).all()
    assert not ground.intersects(far).any()
    assert bbox_of(ground)[::2] == [-180, 180]
    assert pole in bbox_of(ground)


@pytest.mark.parametrize(
    ("crs", "col", "row"),
    [("EPSG:3995", 3, 2), ("EPSG:3031", 2, 2), ("EPSG:6931", 2, 1), ("EPSG:3571", 0, 0)],
)
def test_geojson_is_right_where_polygons_touch_or_contain_a_pole(tmp_path, crs, col, row):
    """A field of four by four squares of 10 km with the pole on a corner of one or in none."""
    pixels = np.repeat(
        np.repeat([[1, 1, 2, 2], [1, 2, 2, 1], [1, 1, 1, 1], [2, 2, 1, 2]], 8, 0), 8, 1
    )
    place = Affine(1250, 0, -10_000 * col, 0, -1250, 10_000 * row)
    source = write_scene(
        tmp_path / "scene.tif", (pixels * 300).astype(np.uint16), crs=crs, transform=place
    )
    network, config = Network(contract_of(gsd_m=1250.0)), MapConfig(vectors=("geojson", "parquet"))
    found = map_scene(source, network, config, tmp_path / "maps")
    features = json.loads((found.folder / "polygons.geojson").read_text())["features"]
    grounds = [shapely.geometry.shape(it["geometry"]) for it in features]
    assert all(it.is_valid for it in grounds)
    _, table = read_parquet(found.folder / "polygons.parquet")
    shapes = shapely.from_wkb(table["geometry"])
    at = np.random.default_rng(1).uniform(-60_000, 60_000, (2000, 2))
    lons, lats = rasterio.warp.transform(crs, "OGC:CRS84", *at.T)
    for ground, shape in zip(grounds, shapes, strict=True):
        wrong = shapely.contains_xy(ground, lons, lats) != shapely.contains_xy(shape, at)
        assert wrong.mean() < 0.005


def test_the_footprint_of_a_tile_with_a_corner_on_a_pole_is_a_quarter_of_the_earth():
    grid = Grid(100, 100, Affine(1000, 0, 0, 0, -1000, 0), "EPSG:3031")
    ground = footprint(grid)
    assert bbox_of(ground) == pytest.approx([90, -90, 180, -88.70], abs=0.01)


def test_a_footprint_follows_curved_edges():
    grid = Grid(1000, 1000, Affine(1000, 0, 0, 0, -1000, 8_000_000), UTM)
    ground = footprint(grid)
    assert ground.is_valid
    assert len(shapely.get_coordinates(ground)) > 60


def test_a_scene_without_a_map_keeps_pixel_coordinates(tmp_path, ground):
    source = write_scene(tmp_path / "scene.tif", ground, crs=None, transform=Affine.identity())
    config = MapConfig.model_validate({"vectors": FORMATS, "reading": {"without_map": True}})
    found = map_scene(source, Network(contract_of()), config, tmp_path / "maps")
    assert "polygons.geojson" not in found.files  # RFC 7946 knows places on the earth alone
    document, table = read_parquet(found.folder / "polygons.parquet")
    assert document["columns"]["geometry"]["crs"] is None
    row = table["class"].index("middle")
    assert shapely.from_wkb(table["geometry"][row]).bounds == (30, 5, 40, 25)


def test_a_map_of_nodata_and_one_class_has_its_files(tmp_path):
    pixels = smooth_ground(40, 40)
    found = make(tmp_path, np.where(pixels > 500, 166, 0).astype(np.uint16))
    _, table = read_parquet(found.folder / "polygons.parquet")
    assert set(table["class"]) == {"low"}
    assert sum(table["pixels"]) == (pixels > 500).sum()


def test_classes_keep_different_names_where_stac_allows_none_of_their_letters():
    names = ("小麦", "水稻", "bare soil")
    table = ClassTable(names, [(0, 0, 0)] * 3, [1, 2, 3])
    classes = table.stac_fields()["classification:classes"]
    assert [it["name"] for it in classes] == ["_-0", "_-1", "bare_soil"]
    assert tuple(it["title"] for it in classes) == names
