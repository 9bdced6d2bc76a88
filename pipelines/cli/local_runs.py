"""Local runs, as `skymill runs` prints them."""

import json
import os
from dataclasses import asdict

import click

from components.raster.errors import ConfigError
from pipelines.definition.workspace import Workspace
from pipelines.local.record import RunRecord, list_records

_LOG = "framework.log"


def workspace_of(workspace: str | None, config_path: str) -> Workspace:
    """Returns the given workspace, or else that of a configuration."""
    from pipelines.config.tree import load_config

    return Workspace(workspace or load_config(config_path).workspace)


def find_record(place: Workspace, run_id: str) -> RunRecord:
    """Returns the record of the run with an id, or with the only id of that prefix.

    Raises:
        click.UsageError: no run, or more than one, has that prefix.
    """
    found = [one for one in list_records(place.runs) if one.run_id.startswith(run_id)]
    if len(found) != 1:
        noun = "no run begins" if not found else f"{len(found)} runs begin"
        raise click.UsageError(f"{noun} with {run_id!r}; see: skymill runs")
    return found[0]


def print_log(place: Workspace, record: RunRecord) -> None:
    """Prints the log of a run.

    Raises:
        ConfigError: the run has no log.
    """
    path = os.path.join(place.run_dir(record.run_id), _LOG)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                click.echo(line, nl=False)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error


def print_list(records: list[RunRecord], runs_dir: str, as_json: bool) -> None:
    """Prints runs, the newest first."""
    if as_json:
        click.echo(json.dumps([asdict(record) for record in records], indent=1))
        return
    if not records:
        click.echo(f"No runs yet in {runs_dir}. Start one with: skymill run")
        return
    from rich.markup import escape

    from pipelines.local.console import console_on, plain_table

    columns = ("run", "model", "outcome", "version", "started (UTC)", "why")
    table = plain_table(*columns, whole=("run", "model"))
    for record in records:
        version = record.pushed_version
        table.add_row(
            record.run_id,
            record.name,
            record.outcome,
            "" if version is None else str(version),
            record.started[:19].replace("T", " "),
            escape(record.reason.splitlines()[0]) if record.reason else "",
        )
    console_on().print(table)


def print_one(record: RunRecord, folder: str, as_json: bool) -> None:
    """Prints a run; its paths are unbroken at any terminal width, so that they can be copied."""
    if as_json:
        click.echo(json.dumps(asdict(record), indent=1))
        return
    click.secho(f"{record.run_id}  {record.name}  {record.outcome}", bold=True)
    if record.reason:
        click.echo(record.reason)
    made = {a.artifact_id: n for n in record.nodes for many in n.outputs.values() for a in many}
    for node in record.nodes:
        sources = {made[i].node_id for ids in node.inputs.values() for i in ids if i in made}
        origin = f"  from {', '.join(sorted(sources))}" if sources else ""
        click.echo(f"{node.node_id:<17} {node.state:<8} {node.seconds:6.1f} s{origin}")
        for channel, artifacts in node.outputs.items():
            for artifact in artifacts:
                click.echo(f"    {channel}: {artifact.uri}")
    click.echo(f"record, configuration, summary and log: {folder}")
