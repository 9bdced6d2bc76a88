"""`skymill runs`: lists past runs, or shows one run with its lineage."""

import json
from dataclasses import asdict

import click

from pipelines.cli.options import config_option, json_option
from pipelines.definition.workspace import Workspace
from pipelines.local.record import RunRecord, list_records


@click.command()
@click.argument("run_id", required=False)
@config_option
@click.option("--workspace", help="Look here, and not where a configuration says.")
@json_option
def command(run_id: str | None, config_path: str, workspace: str | None, as_json: bool) -> None:
    """List past runs, the newest first; with RUN_ID, show one with its lineage.

    A RUN_ID may be cut short as long as only one run begins so.
    """
    from pipelines.config.tree import load_config

    place = Workspace(workspace or load_config(config_path).workspace)
    records = list_records(place.runs)
    if run_id is None:
        _print_list(records, place.runs, as_json)
        return
    found = [record for record in records if record.run_id.startswith(run_id)]
    if len(found) != 1:
        noun = "no run begins" if not found else f"{len(found)} runs begin"
        raise click.UsageError(f"{noun} with {run_id!r}; see: skymill runs")
    if as_json:
        click.echo(json.dumps(asdict(found[0]), indent=1))
    else:
        _print_one(found[0], place.run_dir(found[0].run_id))


def _print_list(records: list[RunRecord], runs_dir: str, as_json: bool) -> None:
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


def _print_one(record: RunRecord, folder: str) -> None:
    """Prints a run with whole paths, whatever the terminal's width, so that they can be copied."""
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
