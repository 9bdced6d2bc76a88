"""`skymill splits`: counts each split before anything runs."""

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import LocalPath, config_option, json_option

if TYPE_CHECKING:
    from components.ingest.records.survey import Survey


@click.command()
@config_option
@click.option(
    "-o",
    "--output",
    type=LocalPath(),
    help="Draw a map of the tiles of each split into this file (PNG).",
)
@json_option
def command(config_path: str, output: str | None, as_json: bool) -> None:
    """Count the images and classes of each split; for rasters also print the distance from train to
    test.

    This reads no pixels of rasters. Pairs of tiles of different splits that share ground or touch
    are leaks: the model would be tested on ground on which it was trained.
    """
    from components.ingest.choose_span import choose_span
    from components.ingest.sources import survey
    from pipelines.config.tree import load_config

    found = survey(choose_span(load_config(config_path).ingest))
    if as_json:
        click.echo(json.dumps(_facts(found), indent=1))
    else:
        click.echo(found.report.text() if len(found.places) else _counts(found))
        if found.rejects:
            first = found.rejects[0]
            click.echo(f"{len(found.rejects)} rejects, such as {first.key}: {first.reason}")
    if output:
        from components.raster.pictures.split_map import split_map

        split_map(found.places, found.splits).save(output, "PNG")
        click.echo(f"map: {output}", err=True)


def _counts(found: "Survey") -> str:
    """Returns the table without distances: photographs have no location."""
    return found.report.text().rpartition("\n")[0]


def _facts(found: "Survey") -> dict[str, object]:
    report = found.report
    nearest = report.train_to_test
    known = nearest.distance_m < float("inf")
    return {
        "images": report.counts,
        "classes": report.classes,
        "absent": [{"class": name, "split": split} for name, split in report.absent()],
        "rejects": dict(Counter(str(reject.reason) for reject in found.rejects)),
        "left_out": {str(reason): count for reason, count in report.left_out.items()},
        "nearest_train_test_m": nearest.distance_m if known else None,
        "nearest_train_test": [nearest.first, nearest.second] if known else None,
        "overlapping_pairs": report.leaks.overlapping,
        "touching_pairs": report.leaks.touching,
    }
