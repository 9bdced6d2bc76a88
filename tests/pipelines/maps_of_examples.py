"""Maps by the examples' models against annotations: one score for objects and footprints."""

import csv
import json
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import rasterio
import shapely
import shapely.geometry
import tensorflow as tf
from rasterio.windows import Window

from components.mapping.config import MapConfig
from components.mapping.in_process import InProcessModel
from components.mapping.maps import map_scene
from components.raster.scene.grid import Grid
from components.raster.scene.scene import BandFile, SceneSource
from serving.client.wire_tensors import string_array
from serving.server.model import load_model
from serving.store.versions import newest_version


class Score(NamedTuple):
    """Matches of found and true areas, each of which counts once."""

    precision: float
    recall: float
    f1: float


def score_of(found, true, least_iou=0.5):
    """Matches areas one to one, the largest overlaps first, above a least overlap (IoU)."""
    tree = shapely.STRtree(true)
    mine, theirs = tree.query(found, predicate="intersects")
    shared = shapely.area(shapely.intersection(found[mine], true[theirs]))
    overlap = shared / (shapely.area(found)[mine] + shapely.area(true)[theirs] - shared)
    taken, matched = set(), set()
    for place in np.argsort(-overlap):
        if overlap[place] >= least_iou and not {mine[place]} & taken | {theirs[place]} & matched:
            taken.add(mine[place])
            matched.add(theirs[place])
    precision, recall = len(taken) / max(len(found), 1), len(taken) / len(true)
    return Score(precision, recall, 2 * precision * recall / max(precision + recall, 1e-9))


def areas_of_map(model, image, folder, name, class_name, **settings):
    """The polygons of one class in a vector file of the map of an image."""
    config = MapConfig.model_validate(settings)
    source = SceneSource(image.stem, (BandFile(str(image)),))
    found = map_scene(source, model, config, folder)
    table = pq.read_table(found.folder / f"{name}.parquet").to_pydict()
    areas = shapely.from_wkb(table["geometry"])
    return areas[np.array(table["class"]) == class_name]


def cells_and_windows(model_base, image, side_px, folder):
    """The classes of the cells of an image's map, and those of the same windows sent as files.

    Cells at the right and lower edges, which are not whole tiles, are left out.
    """
    config = MapConfig.model_validate({"vectors": (), "reading": {"bands": (1, 2, 3)}})
    source = SceneSource(image.stem, (BandFile(str(image)),))
    mapped = map_scene(source, InProcessModel(model_base), config, folder).folder / "classes.tif"
    newest = newest_version(model_base)
    loaded = load_model(newest.number, newest.path)
    with rasterio.open(image) as scene, rasterio.open(mapped) as cells:
        assert cells.transform == scene.transform * scene.transform.scale(side_px)
        rows, columns = (side // side_px for side in scene.shape)
        by_map = cells.read(1)[:rows, :columns]
        by_window = np.empty_like(by_map)
        for row, column in np.ndindex(rows, columns):
            corner = (column * side_px, row * side_px, side_px, side_px)
            pixels = scene.read((1, 2, 3), window=Window(*corner))
            payload = tf.io.encode_png(np.moveaxis(pixels, 0, -1)).numpy()
            answer = loaded.run("serving_default", {"image_bytes": string_array([payload])})
            by_window[row, column] = np.argmax(answer["probabilities"][0])
    return by_map, by_window


def boxes_in_table(path, grid: Grid):
    """The boxes of a table of pixel coordinates, on the map."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    edges = (("xmin", "ymin"), ("xmax", "ymax"))
    corners = [[grid.to_map(float(row[y]), float(row[x])) for x, y in edges] for row in rows]
    return np.array([shapely.box(*np.sort([a, b], axis=0).ravel()) for a, b in corners])


def shapes_in_file(path):
    """The areas of a GeoJSON file."""
    features = json.loads(path.read_text())["features"]
    return np.array([shapely.geometry.shape(it["geometry"]) for it in features])
