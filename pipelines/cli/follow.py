"""`skymill follow`: waits for a run on Kubeflow Pipelines."""

import json
from typing import TYPE_CHECKING

import click

from pipelines.cli.kubeflow_options import (
    connection_options,
    exit_code_of,
    metadata_option,
    print_end,
    print_step,
    print_waiting,
    readable_metrics,
)
from pipelines.cli.options import json_option

if TYPE_CHECKING:
    from pipelines.kubeflow.client.connection import Connection
    from pipelines.kubeflow.client.server import KubeflowServer


@click.command()
@click.argument("run_id")
@click.option("--timeout", "timeout_s", type=float, help="Seconds after which to stop waiting.")
@metadata_option
@connection_options
@json_option
def command(connection: "Connection", run_id: str, timeout_s: float | None, as_json: bool) -> None:
    """Wait for the run RUN_ID on Kubeflow Pipelines, and print how it ended.

    This also shows the run's metrics; a server up to 2.17 keeps them in a metadata store, whose
    address is --metadata. Exit code 3 means that a gate blocked the run.
    """
    from pipelines.kubeflow.client.server import KubeflowServer

    follow_and_report(KubeflowServer(connection), run_id, timeout_s, as_json)


def follow_and_report(
    server: "KubeflowServer", run_id: str, timeout_s: float | None, as_json: bool
) -> None:
    """Follows a run, prints its outcome and exits with its exit code."""
    from pipelines.kubeflow.client.follow import follow

    changed = (lambda step, state: None) if as_json else print_step
    waits = None if as_json else print_waiting
    try:
        state = follow(
            server, run_id, changed, waits=waits, troubled=_print_trouble, timeout_s=timeout_s
        )
    except KeyboardInterrupt:
        said = f"The run goes on: skymill follow {run_id}. To end it: skymill runs stop {run_id}"
        click.echo(said, err=True)
        raise
    metrics = readable_metrics(server, run_id)
    if as_json:
        click.echo(json.dumps({**state.to_dict(), "metrics": metrics}, indent=1))
    else:
        print_end(state, server.api.connection)
        for name, value in (metrics or {}).items():
            click.echo(f"  {name:<24} {value:.4g}")
    click.get_current_context().exit(exit_code_of(state))


def _print_trouble(error: Exception) -> None:
    click.echo(f"skymill: {error} Trying again; the run goes on", err=True)
