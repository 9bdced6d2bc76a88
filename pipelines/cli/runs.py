"""`skymill runs`: lists, shows, compares, stops and retries runs, local ones or a server's."""

from typing import TYPE_CHECKING

import click

from pipelines.cli import kubeflow_runs, local_runs
from pipelines.cli.kubeflow_options import connection_options, metadata_option, optional_connection
from pipelines.cli.options import config_option, json_option
from pipelines.local.record import list_records

if TYPE_CHECKING:
    from pipelines.kubeflow.client.connection import Connection

_workspace_option = click.option(
    "--workspace", help="Workspace to look in, instead of the configuration's."
)
_most_option = click.option(
    "-n",
    "--most",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Number of a server's runs to list.",
)


class _Runs(click.Group):
    """Understands `skymill runs [RUN_ID]` as `list` or `show`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {*self.commands, *ctx.help_option_names}
        if not args or args[0] not in known:
            args = ["list-or-show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Runs)
def command() -> None:
    """List past runs, the newest first; with RUN_ID, show one with its lineage.

    These are the runs of this machine or, with --kubeflow or --endpoint, of a Kubeflow Pipelines
    server. You can shorten a RUN_ID of this machine as long as it stays unique.
    """


@command.command("list")
@config_option
@_workspace_option
@_most_option
@optional_connection
@json_option
def list_(
    connection: "Connection | None",
    config_path: str,
    workspace: str | None,
    most: int,
    as_json: bool,
) -> None:
    """List runs, the newest first."""
    _list(connection, config_path, workspace, most, as_json)


@command.command()
@click.argument("run_id")
@config_option
@_workspace_option
@metadata_option
@optional_connection
@json_option
def show(
    connection: "Connection | None",
    run_id: str,
    config_path: str,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Show the run RUN_ID: with its lineage on this machine, with its steps on a server."""
    _show(connection, run_id, config_path, workspace, as_json)


@command.command("list-or-show", hidden=True)
@click.argument("run_id", required=False)
@config_option
@_workspace_option
@_most_option
@metadata_option
@optional_connection
@json_option
def list_or_show(
    connection: "Connection | None",
    run_id: str | None,
    config_path: str,
    workspace: str | None,
    most: int,
    as_json: bool,
) -> None:
    """List runs, or show RUN_ID."""
    if run_id is None:
        _list(connection, config_path, workspace, most, as_json)
    else:
        _show(connection, run_id, config_path, workspace, as_json)


@command.command()
@click.argument("run_id")
@click.argument("step", required=False)
@config_option
@_workspace_option
@optional_connection
def logs(
    connection: "Connection | None",
    run_id: str,
    step: str | None,
    config_path: str,
    workspace: str | None,
) -> None:
    """Print the log of the run RUN_ID; on a server, the log of its failed steps, or of STEP.

    A server has the log of a step as long as the step's pod exists, or if it archives logs.
    """
    if connection is not None:
        kubeflow_runs.print_logs(connection, run_id, step)
        return
    if step is not None:
        raise click.UsageError("a run of this machine has one log: leave out STEP")
    place = local_runs.workspace_of(workspace, config_path)
    local_runs.print_log(place, local_runs.find_record(place, run_id))


@command.command()
@click.argument("a")
@click.argument("b")
@config_option
@_workspace_option
@json_option
def compare(a: str, b: str, config_path: str, workspace: str | None, as_json: bool) -> None:
    """Compare the runs A and B of this machine; you can shorten their ids.

    Prints the settings and data that differ, the metrics with their intervals, and the test
    examples that B answers better or worse than A.
    """
    from pipelines.cli.compared_runs import print_comparison
    from pipelines.local.compare import compare_runs

    place = local_runs.workspace_of(workspace, config_path)
    records = [local_runs.find_record(place, run_id) for run_id in (a, b)]
    runs = [(record, place.run_dir(record.run_id)) for record in records]
    print_comparison(compare_runs(runs), as_json)


#: Accepted where the runs of a server are the only ones, as the other commands of `runs` take it.
_of_a_server = click.option(
    "--kubeflow",
    is_flag=True,
    expose_value=False,
    help="Use the runs of a server; this is always the case here.",
)


@command.command()
@click.argument("run_id")
@_of_a_server
@connection_options
def stop(connection: "Connection", run_id: str) -> None:
    """Stop the run RUN_ID on Kubeflow Pipelines.

    To stop a run of this machine, use Ctrl-C or SIGTERM.
    """
    kubeflow_runs.stop(connection, run_id)


@command.command()
@click.argument("run_id")
@_of_a_server
@connection_options
def retry(connection: "Connection", run_id: str) -> None:
    """Run the failed steps of the run RUN_ID on Kubeflow Pipelines again, and the steps after them.

    On this machine use `skymill run`, which reuses what has not changed since the last run.
    """
    kubeflow_runs.retry(connection, run_id)


def _list(
    connection: "Connection | None",
    config_path: str,
    workspace: str | None,
    most: int,
    as_json: bool,
) -> None:
    if connection is not None:
        kubeflow_runs.print_list(connection, most, as_json)
        return
    place = local_runs.workspace_of(workspace, config_path)
    local_runs.print_list(list_records(place.runs), place.runs, as_json)


def _show(
    connection: "Connection | None",
    run_id: str,
    config_path: str,
    workspace: str | None,
    as_json: bool,
) -> None:
    if connection is not None:
        kubeflow_runs.print_one(connection, run_id, as_json)
        return
    place = local_runs.workspace_of(workspace, config_path)
    record = local_runs.find_record(place, run_id)
    local_runs.print_one(record, place.run_dir(record.run_id), as_json)
