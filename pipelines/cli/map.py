"""`skymill map`: whole scenes to maps."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.raster.errors import ConfigError
from pipelines.cli.options import (
    DEFAULT_CONFIG,
    LocalPath,
    config_option,
    json_option,
    local_model_base,
)
from pipelines.cli.quiet import without_native_output
from pipelines.cli.stopping import message_if_stopped

if TYPE_CHECKING:
    from pydantic import ValidationError

    from components.mapping.config import MapConfig
    from components.mapping.maps import SceneMap
    from components.mapping.models import TileModel
    from components.mapping.rejects import MapReject
    from components.raster.scene.folders import Layout
    from components.raster.scene.scene import SceneSource
    from components.raster.scene.stac_query import StacQuery

_PROGRESS_EVERY_S = 2.0


@click.command()
@click.argument("scenes", nargs=-1)
@click.option(
    "-o",
    "--output",
    required=True,
    type=LocalPath(path_type=Path, file_okay=False),
    help="Folder for the maps; each scene gets a folder in it.",
)
@config_option
@click.option(
    "--model-base",
    type=LocalPath(path_type=Path),
    help="Folder of pushed versions, or a SavedModel; default: the configuration's.",
)
@click.option(
    "--server",
    help="Use the model of this server: grpc://HOST:PORT, http://HOST:PORT; grpcs, https.",
)
@click.option("--model", help=f"Name of the model on --server; default: that of {DEFAULT_CONFIG}.")
@click.option(
    "--model-version", type=click.IntRange(0), help="Version on --server; default: the newest."
)
@click.option("--stac", help="A STAC API, catalogue or collection; its items are scenes.")
@click.option(
    "--collection", "collections", multiple=True, help="Collection of --stac; may be repeated."
)
@click.option("--bbox", help="With --stac: west,south,east,north in degrees.")
@click.option("--start", help="With --stac: the first day, such as 2023-05-01.")
@click.option("--end", help="With --stac: the last day, included.")
@click.option("--max-cloud", type=float, help="With --stac: the largest cloud cover, in percent.")
@click.option(
    "--max-items",
    type=click.IntRange(1),
    help="With --stac: the largest number of items. Default: 1000.",
)
@click.option(
    "--layout",
    type=click.Choice(["file", "folder"]),
    default="file",
    show_default=True,
    help="Each file is a scene, or each folder with a file for each band.",
)
@click.option("--bands", help="The scene's bands in the model's order, if the names differ.")
@click.option("--band-names", help="Names of each file's bands in order, if it has none.")
@click.option("--nodata", type=float, help="Nodata value, instead of the files' own.")
@click.option("--scale", type=float, help="Scale of every band, instead of the files' own.")
@click.option("--offset", type=float, help="Offset of every band, with --scale.")
@click.option(
    "--stored", is_flag=True, help="Use the stored numbers, whatever scale the files state."
)
@click.option("--page", type=click.IntRange(1), help="TIFFs of several pages: the page to read.")
@click.option("--without-map", is_flag=True, help="Accept rasters without a CRS.")
@click.option("--resample", is_flag=True, help="Resample scenes of another pixel size.")
@click.option("--crs", help="Resample into this CRS, such as EPSG:32632.")
@click.option(
    "--tile-px", type=click.IntRange(8), help="Side of a tile in pixels; default: as in training."
)
@click.option("--scales", help="Detection: scales at which to run, such as 1,0.5.")
@click.option(
    "--overlap",
    type=click.FloatRange(0, 0.75),
    help="Overlap of tiles, as a share of a tile's side.",
)
@click.option(
    "--blend",
    type=click.Choice(["cosine", "constant", "crop"]),
    help="How overlapping tiles are blended. Default: cosine.",
)
@click.option("--probabilities", is_flag=True, help="Also write the probability of every class.")
@click.option(
    "--compression",
    type=click.Choice(["deflate", "zstd"]),
    help="Compression of rasters. Default: deflate.",
)
@click.option(
    "--vector",
    "vectors",
    type=click.Choice(["parquet", "fgb", "gpkg", "geojson", "none"]),
    multiple=True,
    help="Format of polygons, cells or objects; may be repeated. Default: parquet.",
)
@click.option("--min-area-px", type=click.FloatRange(0), help="Leave out smaller polygons.")
@click.option(
    "--simplify-px", type=click.FloatRange(0), help="Tolerance by which to simplify polygons."
)
@click.option(
    "--mask-unknown",
    type=click.FloatRange(0, 100),
    help="Mask tiles of unknown imagery: those above this percentile, such as 99.",
)
@click.option(
    "--min-score", type=click.FloatRange(0, 1), help="Leave out objects with a lower score."
)
@click.option("--points", is_flag=True, help="Write objects as points instead of boxes.")
@click.option("--batch", type=click.IntRange(1), help="Number of tiles in a batch.")
@click.option(
    "--memory-mb",
    type=click.IntRange(8),
    help="Memory for decoded blocks and unfinished pixels, in MB.",
)
@click.option("--overwrite", is_flag=True, help="Replace other maps of the same scenes.")
@json_option
@click.pass_context
@without_native_output
def command(
    ctx: click.Context,
    /,
    scenes: tuple[str, ...],
    output: Path,
    config_path: str,
    model_base: Path | None,
    server: str | None,
    model: str | None,
    model_version: int | None,
    stac: str | None,
    collections: tuple[str, ...],
    bbox: str | None,
    start: str | None,
    end: str | None,
    max_cloud: float | None,
    max_items: int | None,
    layout: "Layout",
    bands: str | None,
    band_names: str | None,
    overwrite: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Map whole scenes with the newest pushed model, on the scene's own grid.

    SCENES are raster files, folders of them, URLs, or files of STAC items. The map of each scene is
    a folder in --output, which appears when it is complete. A run that was stopped continues where
    it stopped. If a scene cannot be mapped, the reason is printed, the other scenes are still
    mapped, and the exit code is 1.
    """
    from components.mapping.maps import SceneMap, map_scenes
    from components.mapping.rejects import MapReject
    from components.mapping.sources import scenes_at
    from components.raster.band_names import listed_bands

    settings["bands"] = listed_bands(bands) if bands else None
    settings["scales"] = settings["scales"].split(",") if settings["scales"] else None
    settings["band_names"] = tuple(map(str.strip, band_names.split(","))) if band_names else None
    config = _config(settings)
    query = _query(stac, collections, bbox, start, end, max_cloud, max_items)
    tile_model = (
        _model(model_base, config_path)
        if server is None
        else _served(server, model, model_version, config_path)
    )
    photographs = tile_model.contract.image.bands is None
    found = scenes_at(scenes, config.reading, photographs=photographs, layout=layout, query=query)
    if found.ignored:
        others = ", ".join(f"{count} {name}" for name, count in sorted(found.ignored.items()))
        click.echo(f"ignored: {others}", err=True)
    failed = 0
    for reject in map(MapReject.of_scene, found.rejects):
        failed += 1
        _print_result(reject, as_json)
    show = None if as_json else _Progress(len(found.sources))
    made = map_scenes(found.sources, tile_model, config, output, overwrite=overwrite, on_scene=show)
    with message_if_stopped("Finished maps are kept. The same command continues with the rest."):
        for result in made:
            failed += not isinstance(result, SceneMap)
            _print_result(result, as_json)
    ctx.exit(1 if failed else 0)


def _config(settings: dict[str, Any]) -> "MapConfig":
    """Builds the configuration from the given flags."""
    from pydantic import ValidationError

    from components.mapping.config import MapConfig, PolygonsConfig, SceneReading

    given = {
        name: value
        for name, value in settings.items()
        if value is not None and value is not False and value != ()
    }
    reading = {name: given.pop(name) for name in SceneReading.model_fields if name in given}
    polygons = {name: given.pop(name) for name in PolygonsConfig.model_fields if name in given}
    if "none" in given.get("vectors", ()):
        given["vectors"] = ()
    try:
        return MapConfig.model_validate({**given, "reading": reading, "polygons": polygons})
    except ValidationError as error:
        raise ConfigError(_faults(error)) from error


def _query(
    stac: str | None,
    collections: tuple[str, ...],
    bbox: str | None,
    start: str | None,
    end: str | None,
    max_cloud: float | None,
    max_items: int | None,
) -> "StacQuery | None":
    from pydantic import ValidationError

    from components.raster.scene.stac_query import StacQuery

    if stac is None:
        return None
    try:
        return StacQuery.model_validate(
            {
                "source": stac,
                "collections": collections,
                "bbox": bbox.split(",") if bbox else None,
                "start": start,
                "end": end,
                "max_cloud_cover_percent": max_cloud,
                **({} if max_items is None else {"max_items": max_items}),
            }
        )
    except ValidationError as error:
        raise ConfigError(_faults(error, otherwise="stac")) from error


def _faults(error: "ValidationError", otherwise: str = "") -> str:
    """Returns the findings by option; those on several are on the option `otherwise`."""
    from components.raster.frozen import message_in

    named = (
        (next((it for it in reversed(found["loc"]) if isinstance(it, str)), otherwise), found)
        for found in error.errors()
    )
    return "; ".join(f"--{it.replace('_', '-')}: {message_in(found)}" for it, found in named)


def _model(model_base: Path | None, config_path: str) -> "TileModel":
    """Loads the newest pushed model of a folder, or of the configuration."""
    from pipelines.config.tree import load_config

    name = None
    if model_base is None:
        config = load_config(config_path)
        name = config.name
        model_base = local_model_base(config.model_base)
    from components.raster.tensorflow_import import import_tensorflow

    import_tensorflow(keras=False)
    from components.mapping.in_process import InProcessModel

    return InProcessModel(model_base, name)


def _served(server: str, model: str | None, version: int | None, config_path: str) -> "TileModel":
    """Connects to the model on a server."""
    from components.mapping.served import ServedModel
    from pipelines.config.tree import load_config

    return ServedModel.at(server, model or load_config(config_path).name, version)


class _Progress:
    """Prints the progress of scenes, with the time left, every few seconds."""

    def __init__(self, scenes: int) -> None:
        self._scenes, self._number = scenes, 0

    def __call__(self, source: "SceneSource") -> Callable[[int, int], None]:
        self._number += 1
        head = f"[{self._number}/{self._scenes}] {source.scene_id}"
        begun = printed = time.monotonic()
        first = 0

        def show(done: int, total: int) -> None:
            nonlocal printed, first
            now = time.monotonic()
            first = first or done  # a continued run starts with the tiles of an earlier one
            if now - printed < _PROGRESS_EVERY_S and done < total:
                return
            printed, text = now, f"{head}: {done:,} of {total:,} tiles ({done / total:.0%})"
            if first < done < total:
                text += f", {_duration((total - done) * (now - begun) / (done - first))} left"
            click.echo(text, err=True)

        return show


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _print_result(result: "SceneMap | MapReject", as_json: bool) -> None:
    """Prints a scene's map, or why it has none."""
    from components.mapping.maps import SceneMap
    from components.raster.strict_json import strict_json

    if as_json:
        click.echo(strict_json(_as_json(result)))
    elif isinstance(result, SceneMap):
        note = "" if result.is_new else "  (already finished)"
        click.echo(f"{result.scene_id}  {result.folder}: {', '.join(result.files)}{note}")
        for reject in result.rejects:
            click.echo(f"  {reject.key}  {reject.reason}: {reject.detail}", err=True)
    else:
        click.echo(f"{result.key}  {result.reason}: {result.detail}", err=True)


def _as_json(result: "SceneMap | MapReject") -> dict[str, object]:
    from components.mapping.maps import SceneMap

    if not isinstance(result, SceneMap):
        return {"scene": result.key, "reason": result.reason, "detail": result.detail}
    return {
        "scene": result.scene_id,
        "folder": str(result.folder),
        "files": list(result.files),
        "rejects": [asdict(reject) for reject in result.rejects],
        "is_new": result.is_new,
    }
