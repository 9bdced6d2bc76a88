"""The map of a held-out image of Dubai, compared with the answers for its tiles."""

import numpy as np
from PIL import Image

from components.mapping.config import MapConfig
from components.mapping.in_process import InProcessModel
from components.mapping.maps import map_scene
from components.mapping.opening import view_for
from components.raster.fitting import unfit_mask
from components.raster.payload import encode_payload
from components.raster.scene.gdal import opened
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.parts import whole
from components.raster.tiles.reading import read_tiles
from components.raster.tiles.tiling import Tiling, plan_tiles
from serving.client.wire_tensors import string_array
from serving.server.model import load_model
from serving.store.versions import newest_version


def mean_iou(found, truth, count):
    """Computes mean intersection over union of the classes that occur, without truth of 255."""
    known = truth != 255
    pairs = np.bincount(truth[known].astype(int) * 256 + found[known], minlength=count * 256)
    matrix = pairs.reshape(count, 256)[:, :count]
    either = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    return float(np.mean(np.diag(matrix)[either > 0] / either[either > 0]))


def truth_of(path, legend, classes):
    """The mask of an image as class indices; 255 where it has another colour."""
    colours = np.asarray(Image.open(path).convert("RGB")).astype(int)
    truth = np.full(colours.shape[:2], 255, np.uint8)
    for colour, name in legend.items():
        if name in classes:
            rgb = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
            truth[(colours == rgb).all(axis=-1)] = classes.index(name)
    return truth


def ious_of_map_and_tiles(model_base, image, mask, legend, folder):
    """Mean IoU of the map, and of tiles side by side, over one image."""
    model = InProcessModel(model_base)
    config = MapConfig.model_validate({"vectors": (), "reading": {"without_map": True}})
    source = SceneSource(image.stem, (BandFile(str(image)),))
    with opened(str(map_scene(source, model, config, folder).folder / "classes.tif")) as dataset:
        by_map = dataset.read(1)
    classes = model.contract.classes
    truth = truth_of(mask, legend, classes)
    by_tiles = tiles_side_by_side(
        model_base, model.contract, view_for(source, model.contract, config.reading)
    )
    return tuple(mean_iou(it, truth, len(classes)) for it in (by_map, by_tiles))


def tiles_side_by_side(model_base, contract, view):
    """The served class rasters of tiles without overlap, put together."""
    newest = newest_version(model_base)
    loaded = load_model(newest.number, newest.path)
    plan = plan_tiles(view.scene.scene_id, view.grid, Tiling(size_px=256))
    found = np.full((view.grid.height_px + 256, view.grid.width_px + 256), 255, np.uint8)
    for tile in read_tiles(view, whole(plan)):
        payload = encode_payload(tile.pixels, contract.image.bands, tile.valid)
        answer = loaded.run("serving_default", {"image_bytes": string_array([payload])})
        raster = unfit_mask(answer["class_raster"][0], (256, 256), contract.image, 255)
        found[tile.key.window.slices] = raster
    return found[: view.grid.height_px, : view.grid.width_px]
