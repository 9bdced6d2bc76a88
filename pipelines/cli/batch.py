"""`skymill batch`: predictions over whole archives."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.raster.errors import ConfigError
from pipelines.cli.options import DEFAULT_CONFIG, LocalPath, config_option, json_option
from pipelines.cli.stopping import message_if_stopped

if TYPE_CHECKING:
    from pipelines.config.tree import PipelineConfig
    from pipelines.prediction.config import PredictionConfig
    from pipelines.prediction.run import Predicted


@click.command()
@click.argument("source", required=False)
@click.option("-o", "--output", help="Folder for the predictions; it appears when it is complete.")
@config_option
@click.option(
    "--model-base",
    type=LocalPath(path_type=Path),
    help="Folder of pushed versions, or a SavedModel; default: the configuration's.",
)
@click.option("--model-version", type=click.IntRange(0), help="Version; default: the newest.")
@click.option(
    "--kind",
    type=click.Choice(["images", "manifest", "chips", "scenes"]),
    help="Kind of SOURCE; default: manifest or images for a model of photographs, "
    "chips for rasters.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "tfrecord", "maps"]),
    help="Format of the predictions. Default: parquet.",
)
@click.option("--batch", type=click.IntRange(1), help="Number of images in a batch.")
@click.option("--shards", type=click.IntRange(1), help="Number of files of predictions.")
@click.option(
    "--processes",
    type=click.IntRange(0),
    help="Number of processes on this machine; default: by the amount of work.",
)
@click.option(
    "--max-reject-fraction",
    type=click.FloatRange(0, 1),
    help="Share of rejects above which the exit code is 3; the predictions are still"
    " written. Default: 0.05.",
)
@click.option("--overwrite", is_flag=True, help="Replace other predictions in --output.")
@click.option(
    "--anew", is_flag=True, help="Predict all images, without copying answers from an earlier run."
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    source: str | None,
    output: str | None,
    config_path: str,
    model_base: Path | None,
    model_version: int | None,
    kind: str | None,
    format_: str | None,
    batch: int | None,
    shards: int | None,
    processes: int | None,
    max_reject_fraction: float | None,
    overwrite: bool,
    anew: bool,
    as_json: bool,
) -> None:
    """Predict every image of SOURCE with the newest pushed model, into files.

    SOURCE is a folder of images, a table with one row per image (.csv, .jsonl, .parquet), or a
    folder of rasters; default: the source in the section prediction of the configuration. Class
    names in folders or columns are ignored. An image that cannot be read, or that the model
    refuses, is a line in rejects-*.jsonl. To continue a run that was stopped, give the same command
    again. With --overwrite, images that have not changed keep the answers of the same model and
    settings. The exit code is 3 if there are more rejects than --max-reject-fraction allows.
    """
    from components.ingest.records.summary import few_rejects
    from pipelines.cli.main import EXIT_BLOCKED
    from pipelines.local.console import output_to_log

    config = pipeline_config(config_path, needed=source is None or model_base is None)
    base = str(model_base) if model_base is not None else config.model_base if config else ""
    given = {
        "model_version": model_version,
        "format": format_,
        "batch": batch,
        "shards": shards,
        "model_base": None if model_base is None else str(model_base),
        "max_reject_fraction": max_reject_fraction,
        "take_over": False if anew else None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    settings = prediction_settings(config, source, kind, base, given)
    stopped = "Finished shards are kept. The same command continues with the rest."
    with message_if_stopped(stopped), output_to_log(os.devnull):
        result = _run(settings, base, output, config, processes, overwrite=overwrite)
    _print_result(result, as_json)
    finding = few_rejects(result.summary, settings.max_reject_fraction)
    if not finding.passed:
        click.echo(f"blocked: {finding.detail}", err=True)
        ctx.exit(EXIT_BLOCKED)


def pipeline_config(path: str, *, needed: bool) -> "PipelineConfig | None":
    """Loads the configuration; None where there is none, and none is needed."""
    from pipelines.config.tree import load_config

    if not needed and not Path(path).exists():
        return None
    return load_config(path)


def prediction_settings(
    config: "PipelineConfig | None",
    source: str | None,
    kind: str | None,
    base: str,
    given: dict[str, Any],
) -> "PredictionConfig":
    """Builds the settings of the run from the configuration and the flags."""
    from pydantic import ValidationError

    from components.raster.frozen import message_in
    from pipelines.prediction.config import PredictionConfig

    if source is None and kind is not None:
        raise click.UsageError("--kind needs a SOURCE: name one, or leave --kind out")
    known = config.prediction if config else None
    if source is None and known is None:
        raise ConfigError(
            f"name a SOURCE, or write a section prediction in {DEFAULT_CONFIG} with its source"
        )
    tree = {} if known is None or source is not None else known.model_dump()
    if source is not None:
        tree["source"] = named_source(source, kind, base, given.get("model_version"))
    tree |= given
    tree |= {it: for_workers(tree[it], config) for it in ("output", "model_base") if it in tree}
    if source is not None:
        tree["source"]["uri"] = for_workers(source, config)
    try:
        return PredictionConfig.model_validate(tree)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, it['loc']))}: {message_in(it)}" for it in error.errors()
        )
        raise ConfigError(f"SOURCE {source}: {faults}" if source else faults) from error


def for_workers(place: str | None, config: "PipelineConfig | None") -> str | None:
    """Makes a path of the command line absolute where workers run in another folder."""
    from components.raster.location import is_remote, local_path
    from pipelines.config.beam import workers_elsewhere

    if not place or is_remote(place) or config is None:
        return place
    return os.path.abspath(local_path(place)) if workers_elsewhere(config.beam.options) else place


def named_source(source: str, kind: str | None, base: str, version: int | None) -> dict[str, Any]:
    """Returns the configuration of a named source; the model says whether it holds rasters."""
    from components.ingest.listing.config import MANIFEST_SUFFIXES, ManifestColumns
    from components.mapping.maps import tile_px
    from pipelines.prediction.model import find_model

    _, contract = find_model(base, version)
    in_manifest = source.lower().endswith(MANIFEST_SUFFIXES)
    if kind is None:
        photographs = "manifest" if in_manifest else "images"
        kind = "chips" if contract.image.bands else photographs
    tree: dict[str, Any] = {"kind": kind, "uri": source}
    if kind in ("manifest", "chips"):
        tree["columns"] = ManifestColumns(label=None).model_dump()
    if kind == "scenes":
        tree["tiling"] = {"size_px": tile_px(contract)}
    return tree


def _run(
    prediction: "PredictionConfig",
    base: str,
    output: str | None,
    config: "PipelineConfig | None",
    processes: int | None,
    *,
    overwrite: bool,
) -> "Predicted":
    from components.node.beam import make_pipeline
    from pipelines.config.beam import BeamConfig
    from pipelines.prediction.run import folder_of, plan_run, predict_archive

    options = list((config.beam if config else BeamConfig()).options)
    if processes is not None:
        options.append(f"--ingest_processes={processes}")
    plan = plan_run(prediction, base)
    folder = for_workers(output, config) or folder_of(plan)
    return predict_archive(plan, folder, lambda: make_pipeline(options), overwrite=overwrite)


def _print_result(result: "Predicted", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(result)))
        return
    note = "" if result.is_new else "  (already finished)"
    version = "" if result.model_version is None else f" by version {result.model_version}"
    click.echo(f"{result.folder}: {result.predictions:,} predictions{version}{note}")
    if result.taken_over:
        click.echo(f"  taken over from an earlier run: {result.taken_over:,}")
    for reason, count in sorted(result.rejects.items()):
        click.echo(f"  rejected: {reason} {count:,}  (rejects-*.jsonl names each)", err=True)
