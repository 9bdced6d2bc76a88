"""`skymill explain`: the pixels and the training examples behind a model's answers."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.images import OutputPaths, image_files, raster_reading
from pipelines.cli.options import (
    DEFAULT_CONFIG,
    LocalPath,
    config_option,
    json_option,
    local_model_base,
)
from pipelines.cli.quiet import without_native_output

if TYPE_CHECKING:
    from components.explanation.heat_maps import HeatMaps
    from components.explanation.model import ExplainedModel
    from components.explanation.training_examples import AnswerInfluences, Influence, LearntExamples
    from components.raster.pictures.stretch import Picture
    from pipelines.config.tree import PipelineConfig
    from serving.client.raster_reading import RasterReading

#: Methods that give heat maps (`components.explanation.heat_maps`), and that of examples.
_GRADIENTS, _TRACIN = "gradients", "tracin"
_METHODS = (_GRADIENTS, "xrai", "occlusion", "lime", "shap", _TRACIN)
_CARDS = 8

#: An image that was explained or refused: what to print, and what JSON says.
ExplainedLine = tuple[str, dict[str, object]]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=LocalPath(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=LocalPath(path_type=Path, file_okay=False),
    help="Folder for the pictures: the image, the heat map on it, and the colour bar.",
)
@config_option
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    default=_GRADIENTS,
    show_default=True,
    help="gradients: integrated gradients and Grad-CAM in the model's graph "
    "(train.explain). xrai: regions ranked by integrated gradients. occlusion, "
    "lime, shap: from answers alone. tracin: training examples.",
)
@click.option(
    "--target",
    default="",
    help="Class to explain or, for objects, a rank in the answer such as #0; "
    "default: the answer itself.",
)
@click.option(
    "--model-base",
    type=LocalPath(path_type=Path),
    help="Folder of pushed versions, or a SavedModel; default: the configuration's.",
)
@click.option(
    "--server",
    help="Use the model of this server, with the method gradients: grpc://HOST:PORT, http.",
)
@click.option("--model", help=f"Name of the model on --server; default: that of {DEFAULT_CONFIG}.")
@click.option("--model-version", type=click.IntRange(0), help="Default: the newest.")
@click.option(
    "--run", "run_id", help="tracin: use the examples of this run; default: the last one."
)
@click.option(
    "--examples",
    help="tracin: pattern of the training examples' files, instead of a run's.",
)
@click.option("--any-size", is_flag=True, help="Also accept rasters unlike the model's tiles.")
@json_option
@click.pass_context
@without_native_output
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    output: Path,
    config_path: str,
    method: str,
    target: str,
    model_base: Path | None,
    server: str | None,
    model: str | None,
    model_version: int | None,
    run_id: str | None,
    examples: str | None,
    any_size: bool,
    as_json: bool,
) -> None:
    """Explain the answers to files, or to every image below folders.

    A heat map shows how much the answer depends on each pixel of the model's image. tracin shows
    which training examples moved the model towards or away from its answer. The exit code is 1 if
    an image was refused.
    """
    from components.raster.strict_json import strict_json

    if server is not None and method != _GRADIENTS:
        raise click.UsageError(f"--server explains by {_GRADIENTS}; {method} needs --model-base")
    config = _config(config_path, needed=not (model if server else model_base))
    places = OutputPaths()
    files = image_files(paths, places)

    def place_of(path: Path) -> Path:
        return output / places[path]

    reading = raster_reading(config, {})
    if server is not None:
        name = model or (config.name if config else "")
        explanations = _from_server(
            server, name, model_version, files, reading, target, place_of, any_size
        )
    else:
        explanations = _from_model(
            _model(model_base, config, model_version),
            *(files, reading, target, place_of, any_size, method),
            pattern=examples or (_examples(config, run_id) if method == _TRACIN else ""),
        )
    refused = 0
    for text, tree in explanations:
        refused += tree["error"] is not None
        click.echo(strict_json(tree) if as_json else text, err=not as_json and bool(tree["error"]))
    ctx.exit(1 if refused else 0)


def _from_server(
    server: str,
    name: str,
    version: int | None,
    files: Iterator[Path],
    reading: "RasterReading",
    target: str,
    place_of: Callable[[Path], Path],
    any_size: bool,
) -> Iterator[ExplainedLine]:
    from components.explanation.heat_maps import HeatMaps
    from components.explanation.image import model_picture
    from components.raster.errors import SkymillError
    from components.raster.image import ImageSpec
    from serving.client import connect, read_image

    with connect(server, model=name, timeout_s=300) as client:
        needs = client.needs(version)
        if needs is None:
            raise SkymillError(
                f"{server}: the model {name} does not publish its contract, so its images "
                "cannot be shown. Give --model-base"
            )
        reading = reading.meeting(needs, any_size)
        spec = ImageSpec(
            height_px=needs.height_px,
            width_px=needs.width_px,
            fit=needs.fit,
            bands=needs.bands or None,
        )
        for path in files:
            try:
                image = read_image(path, reading)
                picture = model_picture(image, spec)
                [found] = client.explain([image], target=target, version=version)
                maps = HeatMaps.of_graph(found)
            except (SkymillError, OSError) as error:
                yield _refused(path, error)
                continue
            yield _entry(path, maps, picture, place_of(path))


def _from_model(
    model: "ExplainedModel",
    files: Iterator[Path],
    reading: "RasterReading",
    target: str,
    place_of: Callable[[Path], Path],
    any_size: bool,
    method: str,
    pattern: str,
) -> Iterator[ExplainedLine]:
    from components.explanation.heat_maps import METHODS
    from components.explanation.image import model_picture
    from components.explanation.training_examples import learnt_examples
    from components.raster.errors import ConfigError, SkymillError
    from serving.client import read_image
    from serving.contract.needs import ModelNeeds

    reading = reading.meeting(ModelNeeds.of_contract(model.contract.to_json()), any_size)
    learnt = learnt_examples(model, pattern) if method == _TRACIN else None
    for path in files:
        try:
            image = read_image(path, reading)
            if learnt is not None:
                yield _examples_entry(path, model, image, learnt, place_of(path))
                continue
            picture = model_picture(image, model.contract.image)
            found = METHODS[method](model, image, target)
        except ConfigError:
            raise  # a package is missing, for every image alike
        except (SkymillError, OSError) as error:
            yield _refused(path, error)
            continue
        yield _entry(path, found, picture, place_of(path))


def _entry(path: Path, found: "HeatMaps", picture: "Picture", place: Path) -> ExplainedLine:
    """Writes the heat maps of one image over its picture."""
    from components.raster.pictures.heat import heat_sheet

    place.parent.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, heat in found.heats.items():
        title = f"{found.explained} {found.score:.4g}, {name.replace('_', ' ')}"
        files[name] = place.with_name(f"{place.name}.{name}.png")
        heat_sheet(picture, heat, title).save(files[name])
    tree: dict[str, object] = {
        "path": str(path),
        "error": None,
        "explained": found.explained,
        "score": found.score,
        "files": {name: str(file) for name, file in files.items()},
    }
    text = f"{path}  {found.explained} {found.score:.4g}  {'  '.join(map(str, files.values()))}"
    return text, tree


def _examples_entry(
    path: Path, model: "ExplainedModel", image: bytes, learnt: "LearntExamples", place: Path
) -> ExplainedLine:
    """Writes the sheet of the training examples behind one answer."""
    from components.explanation.image import model_picture
    from components.explanation.training_examples import behind_answers
    from components.raster.pictures.sheet import Card, contact_sheet

    spec = model.contract.image
    [behind] = behind_answers(model, learnt, [image], _CARDS - 1)
    place.parent.mkdir(parents=True, exist_ok=True)
    file = place.with_name(f"{place.name}.{_TRACIN}.png")
    rows = {"for": behind.proponents, "against": behind.opponents}
    cards = [
        card
        for side, row in rows.items()
        for card in (
            Card(model_picture(image, spec), f"{behind.answer}: {side}"),
            *(Card(model_picture(it.image, spec), f"{it.label} {it.value:+.3g}") for it in row),
        )
    ]
    contact_sheet(cards, columns=_CARDS).save(file)
    tree = {
        "path": str(path),
        "error": None,
        "explained": behind.answer,
        **_listed(behind),
        "files": {_TRACIN: str(file)},
    }
    nearest = ", ".join(f"{it.key} ({it.label})" for it in behind.proponents[:3])
    return f"{path}  {behind.answer}  by {nearest}  {file}", tree


def _listed(behind: "AnswerInfluences") -> dict[str, object]:
    def plain(examples: tuple["Influence", ...]) -> list[Mapping[str, object]]:
        return [{"key": it.key, "label": it.label, "influence": it.value} for it in examples]

    return {"proponents": plain(behind.proponents), "opponents": plain(behind.opponents)}


def _refused(path: Path, error: Exception) -> ExplainedLine:
    return f"{path}  refused: {error}", {"path": str(path), "error": str(error)}


def _config(path: str, *, needed: bool) -> "PipelineConfig | None":
    from pipelines.config.tree import load_config

    return load_config(path) if needed or Path(path).exists() else None


def _model(
    model_base: Path | None, config: "PipelineConfig | None", version: int | None
) -> "ExplainedModel":
    base = local_model_base(str(model_base) if model_base or not config else config.model_base)
    from components.explanation.model import ExplainedModel

    return ExplainedModel(base, version)


def _examples(config: "PipelineConfig | None", run_id: str | None) -> str:
    from pipelines.definition.workspace import Workspace
    from pipelines.local.latest import latest_examples, split_pattern

    if config is None:
        raise click.UsageError(f"tracin needs --examples, or the runs of {DEFAULT_CONFIG}")
    return split_pattern(latest_examples(Workspace(config.workspace).runs, run_id), "train")
