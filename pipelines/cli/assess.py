"""`skymill assess`: how good a finished map is, from a labelled sample."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import LocalPath, json_option

if TYPE_CHECKING:
    from components.assessment.estimators import LabelledSample
    from components.assessment.record import Design

_path = LocalPath(path_type=Path)
_classes_option = click.option(
    "--classes",
    help="Names of the map's classes by value from 0, separated by commas; default: the map's own.",
)
_labels_options = [
    click.option("--labels", type=_path, help="Labels (CSV or GeoJSON); default: those in DIR."),
    click.option(
        "--incomplete", is_flag=True, help="Leave out units without a label, as missing at random."
    ),
]


@click.group()
def command() -> None:
    """Assess the accuracy of a finished map by a probability sample.

    `sample` draws pixels and writes them out for labelling; `report` estimates accuracies and areas
    from the labels; `compare` compares two maps; `unsure` shows, without labels, where the model
    was least confident.
    """


@command.command()
@click.argument("source", metavar="MAP", type=_path)
@click.option("-o", "--output", required=True, type=_path, help="New folder for the sample.")
@click.option(
    "--strata",
    type=click.Choice(["class", "confidence", "block", "none"]),
    default="class",
    show_default=True,
    help="Divide the map by class, by confidence, into blocks, or not at all.",
)
@click.option(
    "--confidence", type=_path, help="Raster of the map's confidence, for --strata confidence."
)
@click.option(
    "--block-px",
    type=click.IntRange(1),
    default=512,
    show_default=True,
    help="With --strata block: side of a block in pixels.",
)
@click.option(
    "--size",
    type=click.IntRange(1),
    help="Total number of units; default: computed from --half-width and --expected.",
)
@click.option(
    "--half-width",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.03,
    show_default=True,
    help="Desired half-width of the 95 % interval of overall accuracy.",
)
@click.option(
    "--expected",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.85,
    show_default=True,
    help="Expected overall accuracy; used only to compute the size.",
)
@click.option(
    "--minimum",
    type=click.IntRange(2),
    default=50,
    show_default=True,
    help="Least number of units in each stratum.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draw."
)
@click.option("--image", type=_path, help="The scene, from which to make pictures for labelling.")
@_classes_option
def sample(
    source: Path,
    output: Path,
    strata: str,
    confidence: Path | None,
    block_px: int,
    size: int | None,
    half_width: float,
    expected: float,
    minimum: int,
    seed: int,
    image: Path | None,
    classes: str | None,
) -> None:
    """Draw a sample of MAP and write it out for labelling.

    Fill in the column `label` of labels.csv or labels.geojson with the true class. The mapped
    classes are kept separate (design.json, answers/), so that you label blind.
    """
    from components.assessment.chips import write_chips
    from components.assessment.class_map import open_class_map
    from components.assessment.draw import SamplePlan, draw_sample
    from components.assessment.record import write_design
    from components.assessment.strata import StrataKind, strata_of

    opened = open_class_map(source, _names(classes))
    divided = strata_of(opened, StrataKind(strata), confidence=confidence, block_px=block_px)
    plan = SamplePlan(
        size=size, half_width=half_width, expected=expected, minimum=minimum, seed=seed
    )
    design = draw_sample(opened, divided, plan)
    write_design(output, design)
    uncovered = write_chips(output, design, opened, image) if image else 0
    for name, pixels, units in zip(
        design.strata, design.population, _units_by_stratum(design), strict=True
    ):
        click.echo(f"{name}: {units} units of {pixels:,} pixels")
    floor = size is not None and len(design.units) > size
    more = f", more than {size}: each stratum gets at least --minimum {minimum}" if floor else ""
    click.echo(f"{len(design.units)} units{more}: {output}")
    if uncovered:
        click.echo(f"note: {image} does not cover {uncovered} of them", err=True)


@command.command()
@click.argument("folder", metavar="DIR", type=_path)
@_labels_options[0]
@_labels_options[1]
@json_option
def report(folder: Path, labels: Path | None, incomplete: bool, as_json: bool) -> None:
    """Estimate the accuracy of a map and the area of its classes from the labels in DIR."""
    from components.assessment.report import facts_of, text_of

    design, found, _ = _labelled(folder, labels, incomplete)
    facts = facts_of(design, found)
    click.echo(json.dumps(facts, indent=1) if as_json else text_of(facts))


@command.command()
@click.argument("folder", metavar="DIR", type=_path)
@click.argument("other", metavar="OTHER_MAP", type=_path)
@_labels_options[0]
@_labels_options[1]
@_classes_option
@json_option
def compare(
    folder: Path,
    other: Path,
    labels: Path | None,
    incomplete: bool,
    classes: str | None,
    as_json: bool,
) -> None:
    """Compare the map whose sample is in DIR with OTHER_MAP on the same labels."""
    from components.assessment.class_map import open_class_map
    from components.assessment.comparison import compare as compare_maps

    design, found, ids = _labelled(folder, labels, incomplete)
    result = compare_maps(design, found, ids, open_class_map(other, _names(classes)))
    if as_json:
        click.echo(json.dumps(asdict(result), indent=1))
        return
    click.echo(
        f"{result.units} units: right only on {design.map} {result.first_only}, "
        f"only on {other} {result.second_only}; exact paired test p = {result.p_value:.3g}"
    )
    click.echo(
        f"overall accuracy of {design.map} less that of {other}: "
        f"{result.difference.value:+.3f} ± {result.difference.half_width():.3f} (95 %)"
    )


@command.command()
@click.argument("confidence", metavar="CONFIDENCE", type=_path)
@click.option(
    "--block-px",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Side of a block in pixels.",
)
@click.option(
    "--count", type=click.IntRange(1), default=20, show_default=True, help="Number of blocks."
)
@click.option("-o", "--output", type=_path, help="Write the blocks to this file as GeoJSON.")
@json_option
def unsure(confidence: Path, block_px: int, count: int, output: Path | None, as_json: bool) -> None:
    """List the blocks of a map in which the model was least confident, to look at first."""
    from components.assessment.unsure import geojson_of, least_sure

    blocks = least_sure(confidence, block_px, count)
    if output:
        output.write_text(geojson_of(confidence, blocks), encoding="utf-8")
    if as_json:
        click.echo(json.dumps([asdict(block) for block in blocks], indent=1))
        return
    for block in blocks:
        click.echo(
            f"rows {block.row}-{block.row + block.height - 1}, columns {block.column}-"
            f"{block.column + block.width - 1}: mean confidence {block.confidence:.3f}"
        )


def _labelled(
    folder: Path, labels: Path | None, incomplete: bool
) -> tuple["Design", "LabelledSample", tuple[int, ...]]:
    """Returns a sample's design, its labelled units, and their ids."""
    from components.assessment.record import labelled_sample, labels_in, read_design, read_labels

    design = read_design(folder)
    given = read_labels(labels, design) if labels else labels_in(folder, design)
    return design, *labelled_sample(design, given, incomplete=incomplete)


def _names(classes: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in classes.split(",")) if classes else ()


def _units_by_stratum(design: "Design") -> list[int]:
    counts = Counter(unit.stratum for unit in design.units)
    return [counts[index] for index in range(len(design.strata))]
