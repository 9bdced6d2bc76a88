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
    """Find labels that may be wrong, to check and correct.

    `audit` writes them to a file, sorted by suspicion, and `skymill look --issues FILE` draws them.
    Pass a table of corrections to ingest with `ingest.source.corrections`.
    """


@command.command()
@config_option
@click.option(
    "--run", "run_id", help="Use the examples and the model of this run; default: the last one."
)
@click.option(
    "--folds",
    type=click.IntRange(2, 20),
    help="Train a model on all but each fold and audit every split; without this "
    "only the test split is audited, with the run's own model.",
)
@click.option(
    "-o",
    "--output",
    default="label_issues.parquet",
    show_default=True,
    type=LocalPath(path_type=Path),
    help="File of label issues to write.",
)
@click.option(
    "--corrections",
    type=LocalPath(path_type=Path),
    help="Write the suggested labels to this table (CSV); edit it before you use it.",
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
    """Write the labels with which a model that never saw them disagrees, the most suspicious first.

    A suspect is not proof: check each label before you change it. With --folds this costs one
    training per fold; without it, nothing is trained.
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
