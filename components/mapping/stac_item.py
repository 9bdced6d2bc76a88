"""STAC item of a map: its files, and the scene and the model that it was derived from.

It names the model as STAC's machine learning model extension (MLM) recommends for a model's
outputs: by its name, and by its own item if it has one. MLM itself is not declared, since it
requires all of the model's properties, which are in that item.
"""

import datetime
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import shapely
import shapely.geometry

from components.mapping.class_table import CLASSIFICATION_EXTENSION
from components.mapping.lonlat import ground_of
from components.mapping.models import TileModel
from components.mapping.product import Output, grid_fields
from components.raster.masking import masked
from components.raster.scene.grid import Grid, crs_of
from components.raster.task import MLM_TASKS
from components.raster.tiles.view import View

_EXTENSIONS = (
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
)
_DERIVED_LEVEL = "L4"
_STEPS = 16


def stac_item(view: View, model: TileModel, outputs: Sequence[Output], made: str) -> dict[str, Any]:
    """Returns the item as JSON values.

    Args:
        view: the scene.
        model: that made the map.
        outputs: files beside the item.
        made: date and time, ISO 8601.
    """
    scene, grid = view.scene, view.grid
    ground = footprint(grid)
    version = str(model.version) if model.version is not None else model.identity[:12]
    properties: dict[str, Any] = {
        "datetime": _moment(scene.acquired),
        "created": made,
        "processing:lineage": f"Map by model {model.name}, {version}, of scene {scene.scene_id}",
        "processing:level": _DERIVED_LEVEL,
        "processing:software": {"skymill": _own_version(), model.name: version},
        "mlm:name": model.name,
        "mlm:tasks": [MLM_TASKS[model.contract.task]],
        "proj:code": None if grid.crs is None else _code(grid.crs),
        **grid_fields(grid),
    }
    if properties["datetime"] is None:
        properties |= {"start_datetime": made, "end_datetime": made}
    links = [{"rel": "derived_from", "href": masked(file.path)} for file in view.files]
    if model.item is not None:
        properties["processing:expression"] = {"format": "stac-mlm", "expression": model.item}
        links.append(
            {
                "rel": "derived_from",
                "href": model.item,
                "type": "application/geo+json",
                "mlm:name": model.name,
            }
        )
    has_classes = any("classification:classes" in output.fields for output in outputs)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [*_EXTENSIONS, *([CLASSIFICATION_EXTENSION] if has_classes else [])],
        "id": scene.scene_id.replace("/", "_"),
        "geometry": None if ground is None else shapely.geometry.mapping(ground),
        **({} if ground is None else {"bbox": bbox_of(ground)}),
        "properties": properties,
        "links": links,
        "assets": {output.key: _asset(output) for output in outputs},
    }


def footprint(grid: Grid) -> shapely.Geometry | None:
    """Returns a grid's ground in longitude and latitude, cut at the date line; None without a CRS.

    Edges are divided, since they curve.
    """
    if grid.crs is None:
        return None
    way = np.linspace(0, 1, _STEPS, endpoint=False)
    rows = np.concatenate([0 * way, way, 0 * way + 1, 1 - way]) * grid.height_px
    cols = np.concatenate([way, 0 * way + 1, 1 - way, 0 * way]) * grid.width_px
    outline = shapely.Polygon(np.stack(grid.to_map(rows, cols), axis=1))
    ground = ground_of(outline, grid.crs)
    return ground if ground.area else None


def bbox_of(ground: shapely.Geometry) -> list[float]:
    """Returns west, south, east, north; west is greater than east across the date line."""
    west, south, east, north = ground.bounds
    bounds = [part.bounds for part in shapely.get_parts(ground)]
    wests = [it[0] for it in bounds if it[2] == 180]
    easts = [it[2] for it in bounds if it[0] == -180]
    if wests and easts and min(wests) > max(easts):
        west, east = min(wests), max(easts)
    return [west, south, east, north]


def _asset(output: Output) -> dict[str, Any]:
    return {
        "href": f"./{output.path.name}",
        "type": output.media_type,
        "title": output.title,
        "roles": ["overview"] if output.key == "picture" else ["data"],
        **output.fields,
    }


def _moment(acquired: str | None) -> str | None:
    """Returns an acquisition's date or time in the form of RFC 3339."""
    if acquired is None:
        return None
    found = datetime.datetime.fromisoformat(acquired)
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return found.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")


def _code(crs: str) -> str | None:
    authority = crs_of(crs).to_authority()
    return None if authority is None else ":".join(authority)


def _own_version() -> str:
    try:
        return version("skymill")
    except PackageNotFoundError:
        return "unknown"
