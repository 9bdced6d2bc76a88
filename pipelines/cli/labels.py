"""`skymill labels`: looks for wrong labels in the examples of a run."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import LocalPath, config_option, json_option
from pipelines.cli.quiet import without_native_output

if TYPE_CHECKING:
    from pipelines.audit.audit import Audit
    from pipelines.config.tree import PipelineConfig
    from pipelines.local.folds import Fold

_SHOWN = 10


@click.group()
def command() -> None:
    """Find labels that may be wrong, to look at and to correct.

    `audit` writes them to a file, sorted by suspicion. `skymill look --issues FILE` draws them. A
    table of corrections goes back into ingest by `ingest.source.corrections`.
    """


@command.command()
@config_option
@click.option("--run", "run_id", help="Take the examples and model of this run; default: the last.")
@click.option(
    "--folds",
    type=click.IntRange(2, 20),
    help="Train a model on all but each fold and audit every split; without it the test split "
    "alone is audited, by the run's own model.",
)
@click.option(
    "-o",
    "--output",
    default="label_issues.parquet",
    show_default=True,
    type=LocalPath(path_type=Path),
)
@click.option(
    "--corrections",
    type=LocalPath(path_type=Path),
    help="Write a table (CSV) with the suggested labels here: edit it before you use it.",
)
@json_option
@without_native_output
def audit(
    config_path: str,
    run_id: str | None,
    folds: int | None,
    output: Path,
    corrections: Path | None,
    as_json: bool,
) -> None:
    """Write the labels that a model which never saw them disagrees with, the worst first.

    A suspect is not proof: look at each before you change it. With --folds this costs as many
    trainings as there are folds; without, no training at all.
    """
    from components.label_audit.issues import corrections_csv, write_issues
    from components.raster.errors import DataError
    from pipelines.config.tree import load_config
    from pipelines.labels.evaluated_run import counts_by_pair

    if corrections and corrections.exists():
        raise DataError(
            f"{corrections} exists, and corrections are edited by hand: name another file, or "
            "remove it"
        )
    config = load_config(config_path)
    found = _by_folds(config, run_id, folds) if folds else _of_test_split(config, run_id)
    if found is None or not len(found):
        raise DataError("there is no example with a label to audit")
    issues = found.issues()
    write_issues(output, issues)
    if corrections:
        corrections.write_text(corrections_csv(issues), encoding="utf-8")
    if as_json:
        facts = {"examples": len(found), "issues": [asdict(issue) for issue in issues]}
        click.echo(json.dumps(facts, indent=1))
        return
    click.echo(f"{len(issues)} suspects among {len(found):,} examples: {output}")
    for (given, suggested), count in list(counts_by_pair(issues).items())[:_SHOWN]:
        click.echo(f"{count:>6}  {given or 'nothing'} may be {suggested or 'nothing'}")
    if found.without_truth:
        click.echo(f"note: {found.without_truth} examples without a usable label", err=True)


def _of_test_split(config: "PipelineConfig", run_id: str | None) -> "Audit":
    from pipelines.audit.audit import audit_predictions
    from pipelines.definition.workspace import Workspace
    from pipelines.labels.evaluated_run import evaluated_predictions

    return audit_predictions(evaluated_predictions(Workspace(config.workspace).runs, run_id))


def _by_folds(config: "PipelineConfig", run_id: str | None, folds: int) -> "Audit | None":
    from pipelines.definition.workspace import Workspace
    from pipelines.labels.folds import audit_by_folds
    from pipelines.local.latest import latest_examples

    examples = latest_examples(Workspace(config.workspace).runs, run_id)

    def report(fold: "Fold") -> None:
        click.echo(f"fold {fold.number + 1} of {folds}: {fold.examples:,} examples", err=True)

    return audit_by_folds(config, examples, folds, os.environ, report)
