"""`skymill evaluate`: cross-validation, to see how much a metric depends on the places."""

import math
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.options import config_option, json_option
from pipelines.cli.quiet import without_native_output

if TYPE_CHECKING:
    from pipelines.local.folds import Fold


@click.command()
@config_option
@click.option("--run", "run_id", help="Use the examples of this run; default: the last one.")
@click.option(
    "--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="Number of folds."
)
@click.option(
    "--by",
    type=click.Choice(["split", "block", "scene"]),
    default="split",
    show_default=True,
    help="What to hold out together: examples that share a split, blocks of ground, or scenes.",
)
@click.option(
    "--block-m",
    type=click.FloatRange(10),
    default=1000.0,
    show_default=True,
    help="Side of a block in metres, with --by block.",
)
@json_option
@without_native_output
def command(
    config_path: str, run_id: str | None, folds: int, by: Any, block_m: float, as_json: bool
) -> None:
    """Train on all but each fold of a run's examples, and measure on that fold.

    One split gives one figure; another split by place gives another. The spread over the folds
    shows what to expect on new ground. This costs one training per fold and pushes nothing.
    """
    from components.raster.strict_json import strict_json
    from pipelines.config.tree import load_config
    from pipelines.definition.workspace import Workspace
    from pipelines.local.latest import latest_examples

    config = load_config(config_path)
    examples = latest_examples(Workspace(config.workspace).runs, run_id)
    from pipelines.local.cross_validation import cross_validate, spread

    def report(fold: "Fold") -> None:
        click.echo(f"fold {fold.number + 1} of {folds}: trained", err=True)

    rows = []
    for row in cross_validate(config, examples, folds, os.environ, by, block_m, report):
        rows.append(row)
        if not as_json:
            click.echo(
                f"fold {row.fold + 1}: {row.headline} {row.value:.4f} on {row.examples:,} examples "
                f"of {row.units:,} units"
            )
    found = spread([row.value for row in rows])
    if as_json:
        facts = {"folds": [asdict(row) for row in rows], "spread": asdict(found)}
        click.echo(strict_json(facts, indent=1))
        return
    deviation = "" if math.isnan(found.deviation) else f" ± {found.deviation:.4f} between folds"
    click.echo(
        f"{rows[0].headline} {found.mean:.4f}{deviation}, from {found.least:.4f} to "
        f"{found.greatest:.4f}"
    )
