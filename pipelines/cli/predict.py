"""`skymill predict`: sends images to a server and prints its predictions."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.images import OutputPaths, image_files, raster_reading
from pipelines.cli.options import DEFAULT_CONFIG, LocalPath, json_option

if TYPE_CHECKING:
    from components.raster.image import Fit, ImageSpec, Values
    from pipelines.config.tree import PipelineConfig
    from serving.client import FileResult
    from serving.contract.needs import ModelNeeds

_UNTOLD = (
    "note: this version does not state on which tiles it was trained, so no raster is checked: "
    "send only those of the size and ground sample distance of its training tiles"
)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=LocalPath(path_type=Path))
@click.option(
    "--server",
    default="grpc://127.0.0.1:8500",
    show_default=True,
    help="grpc://HOST:PORT or http://HOST:PORT; grpcs and https for TLS.",
)
@click.option("--model", help=f"Name of the model; default: that of {DEFAULT_CONFIG}.")
@click.option(
    "--model-version", type=click.IntRange(0, 2**63 - 1), help="Version; default: the newest."
)
@click.option(
    "--bands",
    help="GeoTIFFs: the bands to send, separated by commas, by the model's names, common names or "
    f"positions from 1; default: those of {DEFAULT_CONFIG}, otherwise all.",
)
@click.option(
    "--band-names", help="GeoTIFFs that name no bands: the names in order, separated by commas."
)
@click.option("--nodata", type=float, help="GeoTIFFs that do not state it: the nodata value.")
@click.option(
    "--values",
    type=click.Choice(["stored", "scaled"]),
    help="GeoTIFFs: whether the model was trained on stored numbers or with scale and offset "
    f"applied; default: as in {DEFAULT_CONFIG}, otherwise stored.",
)
@click.option("--scale", type=float, help="GeoTIFFs that do not state it: the scale of every band.")
@click.option(
    "--offset", type=float, help="GeoTIFFs that do not state it: the offset, with --scale."
)
@click.option("--page", type=click.IntRange(1), help="TIFFs of several pages: the page to read.")
@click.option(
    "--float32/--as-stored",
    "float32",
    default=None,
    help="GeoTIFFs: send samples as float32, the models' own type; samples of 64 bits need it. "
    f"Default: as in {DEFAULT_CONFIG}, otherwise as stored.",
)
@click.option(
    "--output",
    type=LocalPath(path_type=Path, file_okay=False),
    help="Folder for answers that are files: class rasters as PNG or GeoTIFF, "
    "objects as JSON or GeoJSON, each on the grid of its image.",
)
@click.option(
    "--fit",
    type=click.Choice(["stretch", "pad", "crop"]),
    help=f"How images are fitted to the model; default: as in {DEFAULT_CONFIG}, otherwise stretch.",
)
@click.option(
    "--any-size",
    is_flag=True,
    help="Also send rasters that are far from the model's tiles in size or ground sample distance.",
)
@click.option(
    "--batch-size",
    default=16,
    show_default=True,
    type=click.IntRange(1),
    help="Number of images in a request.",
)
@click.option(
    "--top", default=2, show_default=True, type=click.IntRange(1), help="Number of classes to show."
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    server: str,
    model: str | None,
    model_version: int | None,
    bands: str | None,
    band_names: str | None,
    nodata: float | None,
    values: "Values | None",
    scale: float | None,
    offset: float | None,
    page: int | None,
    float32: bool | None,
    output: Path | None,
    fit: "Fit | None",
    any_size: bool,
    batch_size: int,
    top: int,
    as_json: bool,
) -> None:
    """Send files, or every image below folders, to a server and print its answers.

    Photographs are sent as they are. To a model of rasters every file is sent as one tile; a file
    that is far from the model's tiles in size or ground sample distance is refused. Depending on
    the model's task, an answer is the classes with their probabilities, a number, the share of each
    class among the pixels, or the objects. With --json, one line per file is printed. The exit code
    is 1 if any file was refused.
    """
    from components.raster.band_names import listed_bands
    from pipelines.cli.answer_files import write_answer
    from serving.client import connect

    refused, warned = 0, False
    places = OutputPaths()
    config = None if model else _config()
    given: dict[str, Any] = {"nodata": nodata, "values": values, "scale": scale, "offset": offset}
    given |= {"bands": listed_bands(bands) if bands else None, "band_names": _listed(band_names)}
    given["page"] = page
    rasters = raster_reading(config, {name: it for name, it in given.items() if it is not None})
    if float32 is not None:
        rasters = replace(rasters, dtype="float32" if float32 else None)
    with connect(server, model=config.name if config else str(model)) as client:
        needs = client.needs(model_version)
        is_raster = bool(rasters.bands or (needs and needs.bands))
        image = _image(config, needs)
        results = client.predict_files(
            image_files(paths, places),
            batch_size=batch_size,
            version=model_version,
            rasters=rasters,
            any_size=any_size,
        )
        for result in results:
            if needs is None and not warned and (is_raster or _is_tiff(result.path)):
                warned = True
                click.echo(_UNTOLD, err=True)
            refused += result.error is not None
            written = None
            if output is not None and result.prediction is not None:
                target = output / places[result.path]
                chosen = fit or (image.fit if image else "stretch")
                written = write_answer(
                    result.prediction,
                    result.path,
                    target,
                    chosen,
                    image,
                    page=rasters.page,
                    is_raster=is_raster,
                )
            if as_json:
                click.echo(_as_json(result, written))
            else:
                text = "  ".join([_as_text(result, top), *([str(written)] if written else [])])
                click.echo(f"{result.path}  {text}", err=result.error is not None)
    ctx.exit(1 if refused else 0)


def _config() -> "PipelineConfig":
    from components.raster.errors import ConfigError
    from pipelines.config.tree import load_config

    if not os.path.exists(DEFAULT_CONFIG):
        raise ConfigError(f"no {DEFAULT_CONFIG} here to take the model's name from: give --model")
    return load_config(DEFAULT_CONFIG)


def _is_tiff(path: Path) -> bool:
    from serving.client.raster_reading import RASTER_SUFFIXES

    return path.suffix.lower() in RASTER_SUFFIXES


def _image(config: "PipelineConfig | None", needs: "ModelNeeds | None") -> "ImageSpec | None":
    """Returns the model's input specification: its own, else the configuration's."""
    from components.raster.image import ImageSpec

    if needs is None:
        return config.ingest.image if config else None
    return ImageSpec(height_px=needs.height_px, width_px=needs.width_px, fit=needs.fit)


def _listed(names: str | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in names.split(",")) if names else None


def _as_text(result: "FileResult", top: int) -> str:
    if result.prediction is None:
        return f"refused: {result.error}"
    said = result.prediction.reliability
    return "  ".join([result.prediction.as_text(top), *([said.as_text()] if said else [])])


def _as_json(result: "FileResult", written: Path | None) -> str:
    from components.raster.strict_json import strict_json

    answer: dict[str, object] = {"path": str(result.path), "error": result.error}
    if result.prediction is not None:
        answer |= result.prediction.as_json()
    if written is not None:
        answer["file"] = str(written)
    return strict_json(answer)
