"""Runs of a Kubeflow Pipelines server, as `skymill runs` prints them."""

import json
from typing import TYPE_CHECKING

import click

from components.raster.errors import ConfigError
from pipelines.cli.kubeflow_options import print_end, print_step, readable_metrics

if TYPE_CHECKING:
    from pipelines.kubeflow.client.connection import Connection
    from pipelines.kubeflow.client.server import KubeflowServer


def print_list(connection: "Connection", most: int, as_json: bool) -> None:
    """Prints up to `most` of the newest runs that are not archived."""
    states = _server(connection).newest_runs(most)
    if as_json:
        click.echo(json.dumps([state.to_dict() for state in states], indent=1))
        return
    if not states:
        click.echo(f"No runs at {connection.endpoint}. Start one with: skymill submit")
        return
    from rich.markup import escape

    from pipelines.local.console import console_on, plain_table

    table = plain_table("run", "name", "state", "started (UTC)", "ended (UTC)", whole=("run",))
    for state in states:
        times = (_time(state.created), _time(state.finished))
        table.add_row(state.run_id, escape(state.name), state.state.lower(), *times)
    console_on().print(table)


def print_one(connection: "Connection", run_id: str, as_json: bool) -> None:
    """Prints a run with its steps, failures and metrics."""
    server = _server(connection)
    state = server.run_state(run_id)
    waiting = {} if state.ended else server.waiting(run_id)
    metrics = readable_metrics(server, run_id)
    if as_json:
        told = {**state.to_dict(), "waiting": waiting, "metrics": metrics}
        click.echo(json.dumps(told, indent=1))
        return
    for step, now in state.steps.items():
        print_step(step, "CACHED" if step in state.cached else now)
    print_end(state, connection)
    for step, reason in waiting.items():
        click.echo(f"  waiting: {step}: {reason}")
    for name, value in (metrics or {}).items():
        click.echo(f"  {name:<24} {value:.4g}")


def print_logs(connection: "Connection", run_id: str, step: str | None) -> None:
    """Prints the log of a step, or those of all failed steps.

    Raises:
        ConfigError: there is no such step, none has failed, or the server has no log of it.
    """
    logs = _server(connection).step_logs(run_id, step)
    for name, log in logs.items():
        if len(logs) > 1:
            click.secho(f"==> {name}", bold=True)
        if log:
            click.echo(log, nl=not log.endswith("\n"))
    missing = [name for name, log in logs.items() if not log]
    if missing:
        namespace = connection.namespace or "kubeflow"
        raise ConfigError(
            f"there is no log of {', '.join(missing)}: the pod is gone and its log "
            "was not archived, or the server does not return Argo's workflow (version 1 of its "
            "API). A pod that still exists:\n"
            f"  kubectl -n {namespace} logs --all-containers --prefix -l pipeline/runid={run_id}"
        )


def stop(connection: "Connection", run_id: str) -> None:
    """Stops a run, and says so if it had ended by itself."""
    server = _server(connection)
    state = server.run_state(run_id, with_steps=False)
    if state.ended:
        click.echo(f"{state.name}: has ended already: {state.state.lower()} (run {run_id})")
        return
    server.stop(run_id)
    click.echo(f"{state.name}: stopping (run {run_id})")


def retry(connection: "Connection", run_id: str) -> None:
    """Starts the failed steps of a run again.

    Raises:
        ConfigError: the run has not failed.
    """
    server = _server(connection)
    state = server.run_state(run_id, with_steps=False)
    if not state.ended:
        raise ConfigError(f"the run {run_id} has not ended: skymill runs stop {run_id} stops it")
    if state.succeeded:
        raise ConfigError(f"the run {run_id} has succeeded: there is nothing to run again")
    server.retry(run_id)
    click.echo(
        f"{state.name}: its failed steps run again (run {run_id})\n"
        f"Follow it with: skymill follow {run_id}"
    )


def _server(connection: "Connection") -> "KubeflowServer":
    from pipelines.kubeflow.client.server import KubeflowServer

    return KubeflowServer(connection)


def _time(text: str) -> str:
    return text[:19].replace("T", " ")
