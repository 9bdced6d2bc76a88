"""Writes class rasters and detected objects as files on the grid of the requested image."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from components.raster.errors import ConfigError
from components.raster.fitting import unfit_boxes, unfit_mask
from components.raster.image import Fit, ImageSpec
from components.raster.pictures.colours import class_colours
from components.raster.scene.gdal import opened
from components.raster.scene.orientation import UPRIGHT, Orientation
from components.raster.scene.probe import open_scene
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.strict_json import strict_json
from serving.client.raster_reading import is_tiff
from serving.tasks.base import AnyPrediction
from serving.tasks.detection.answer import ObjectsPrediction
from serving.tasks.segmentation.answer import ClassRasterPrediction

_WGS84 = "EPSG:4326"


@dataclass(frozen=True)
class PixelGeometry:
    """Size, orientation and georeferencing of an image's pixels.

    Attributes:
        size_px: height and width of the upright image, as the model sees it.
        is_raster: True for a raster, False for a photograph.
        has_map: True if the image is georeferenced.
        crs: coordinate reference system of a raster, as in the file.
        transform: affine transform of the pixels as the file stores them.
        orientation: EXIF orientation that turns the stored pixels upright.
    """

    size_px: tuple[int, int]
    is_raster: bool
    has_map: bool = False
    crs: Any = None
    transform: Any = None
    orientation: Orientation = UPRIGHT


def write_answer(
    prediction: AnyPrediction,
    path: Path,
    target: Path,
    fit: Fit,
    image: ImageSpec | None,
    *,
    page: int | None = None,
    is_raster: bool = False,
) -> Path | None:
    """Writes a class raster or objects to a file and returns its path, or None for other answers.

    A class raster becomes a GeoTIFF for a raster, else a PNG, whose values are the classes'
    indices; objects become GeoJSON for a raster with a map, else JSON with pixels of the image.

    Args:
        path: the requested image.
        target: path of the output file, without a suffix.
        fit: how the image was fitted to the model's input.
        image: the model's input; needed for objects only.
        page: the requested page of a TIFF file that has several.
        is_raster: the model takes rasters, so that its pixels are those of the file.

    Raises:
        ConfigError: the prediction holds objects and `image` is None.
    """
    if not isinstance(prediction, ClassRasterPrediction | ObjectsPrediction):
        return None
    geometry = pixel_geometry(path, page, is_raster=is_raster)
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(prediction, ClassRasterPrediction):
        return _write_raster(prediction, geometry, target, fit)
    if image is None:
        raise ConfigError(
            f"{path}: the boxes are in pixels of the model's image, whose size is not known here: "
            "run this in the folder of the model's skymill.yaml, without --model"
        )
    return _write_objects(prediction, geometry, target, image)


def pixel_geometry(
    path: Path, page: int | None = None, *, is_raster: bool = False
) -> PixelGeometry:
    """Returns the size of the upright image, as the model sees it, and its georeferencing.

    A JPEG that is sent to a model of rasters keeps its stored orientation, as in scene ingest.
    """
    with path.open("rb") as file:
        is_raster |= is_tiff(file.read(4))
    if not is_raster:
        with Image.open(path) as image:
            width, height = ImageOps.exif_transpose(image).size
        return PixelGeometry((height, width), is_raster=False)
    source = SceneSource(path.name, (BandFile(str(path)),))
    own = open_scene(source, without_map=True, page=page).bands[0].file
    with opened(str(path), page) as dataset:
        return PixelGeometry(
            size_px=(own.grid.height_px, own.grid.width_px),
            is_raster=True,
            has_map=own.grid.crs is not None,
            crs=dataset.crs,
            transform=dataset.transform,
            orientation=own.orientation,
        )


def _write_raster(
    prediction: ClassRasterPrediction, geometry: PixelGeometry, target: Path, fit: Fit
) -> Path:
    height, width = prediction.class_raster.shape
    spec = ImageSpec(height_px=height, width_px=width, fit=fit)
    raster = unfit_mask(prediction.class_raster, geometry.size_px, spec, prediction.ignore)
    dtype = np.uint8 if prediction.ignore <= np.iinfo(np.uint8).max else np.uint16
    if geometry.is_raster:
        file = target.with_name(f"{target.name}_classes.tif")
        _write_geotiff(
            geometry.orientation.stored(raster.astype(dtype)), prediction, geometry, file
        )
    else:
        file = target.with_name(f"{target.name}_classes.png")
        _picture(raster.astype(dtype)).save(file)
    return file


def _write_geotiff(
    raster: npt.NDArray[np.integer],
    prediction: ClassRasterPrediction,
    geometry: PixelGeometry,
    file: Path,
) -> None:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    profile = {
        "driver": "GTiff",
        "dtype": raster.dtype.name,
        "count": 1,
        "height": raster.shape[0],
        "width": raster.shape[1],
        "crs": geometry.crs,
        "transform": geometry.transform,
        "nodata": prediction.ignore,
        "compress": "deflate",
    }
    with warnings.catch_warnings():
        # Without georeferencing in the input there is none in the output.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(file, "w", **profile) as dataset:
            dataset.write(raster, 1)
            dataset.update_tags(
                1, **{f"class_{it}": name for it, name in enumerate(prediction.classes)}
            )
            if raster.dtype == np.uint8:
                dataset.write_colormap(1, dict(enumerate(_colours())))


def _picture(raster: npt.NDArray[np.integer]) -> Image.Image:
    """Returns a PNG image of class indices, with a palette where 8 bits suffice."""
    picture = Image.fromarray(raster)
    if raster.dtype == np.uint8:
        picture = picture.convert("L")
        picture.putpalette([level for colour in _colours() for level in colour])
    return picture


def _colours() -> list[tuple[int, int, int]]:
    """Returns a colour for each of 256 values; the last, which is not a class, is black."""
    return [*class_colours(255), (0, 0, 0)]


def _write_objects(
    prediction: ObjectsPrediction, geometry: PixelGeometry, target: Path, image: ImageSpec
) -> Path:
    edges = np.array(
        [[it.ymin, it.xmin, it.ymax, it.xmax] for it in prediction.objects], np.float64
    )
    boxes = unfit_boxes(edges, geometry.size_px, image)
    named = [
        {"class": found.class_name, "score": found.score, "box_px": box}
        for found, box in zip(prediction.objects, _stored_boxes(boxes, geometry), strict=True)
    ]
    if not geometry.has_map:
        file = target.with_name(f"{target.name}_objects.json")
        file.write_text(strict_json({"objects": named}, indent=1) + "\n")
        return file
    file = target.with_name(f"{target.name}_objects.geojson")
    features = [
        {"type": "Feature", "properties": item, "geometry": _polygon(item["box_px"], geometry)}
        for item in named
    ]
    collection = {"type": "FeatureCollection", "features": features}
    file.write_text(strict_json(collection, indent=1) + "\n")
    return file


def _stored_boxes(boxes: npt.NDArray[np.floating], geometry: PixelGeometry) -> list[list[float]]:
    """Converts upright boxes (top, left, bottom, right) to pixels of the stored file."""
    to_stored, found = geometry.orientation.to_stored(*geometry.size_px), []
    for top, left, bottom, right in boxes.tolist():
        corners = to_stored * (left, top), to_stored * (right, bottom)
        (first, last), (above, below) = (sorted(ends) for ends in zip(*corners, strict=True))
        found.append([above, first, below, last])
    return found


def _polygon(box_px: Any, geometry: PixelGeometry) -> dict[str, Any]:
    """Converts a box (top, left, bottom, right) to a polygon in lon/lat (RFC 7946)."""
    from rasterio.warp import transform_geom

    top, left, bottom, right = box_px
    corners = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)]
    ring = [geometry.transform * corner for corner in corners]
    polygon: dict[str, Any] = transform_geom(
        geometry.crs, _WGS84, {"type": "Polygon", "coordinates": [ring]}
    )
    return polygon
