"""`skymill schedule`: manages recurring runs on Kubeflow Pipelines."""

import json
from typing import TYPE_CHECKING

import click

from pipelines.cli.kubeflow_options import (
    chosen_package,
    connection_options,
    settings_of,
    with_package_options,
)
from pipelines.cli.options import json_option

if TYPE_CHECKING:
    from pipelines.definition.kinds import Kind
    from pipelines.kubeflow.client.connection import Connection
    from pipelines.kubeflow.client.schedule import Scheduled
    from pipelines.kubeflow.client.schedules import Schedules


@click.group()
def command() -> None:
    """Manage recurring runs on Kubeflow Pipelines, one at a time, on the data of their own day."""


@command.command()
@click.argument("name")
@with_package_options
@click.option(
    "--cron",
    help="Cron expression of six fields, seconds first: '0 0 2 * * *' is every night at two.",
)
@click.option("--interval", "interval_s", type=int, help="Seconds from one run to the next.")
@connection_options
@json_option
def create(
    connection: "Connection",
    name: str,
    config_path: str | None,
    package_path: str | None,
    kind: "Kind",
    settings: tuple[str, ...],
    experiment: str | None,
    service_account: str,
    cron: str | None,
    interval_s: int | None,
    as_json: bool,
) -> None:
    """Create the schedule NAME, or change the existing one accordingly.

    Repeating the call changes nothing. A run that has not ended delays the next one, and of several
    missed runs only the last is caught up. Prepare computes the data's fingerprint when a run
    starts, so each run sees the data of its own day.
    """
    from pipelines.kubeflow.client.schedule import Schedule

    schedule = Schedule(
        name=name,
        cron=cron,
        interval_s=interval_s,
        parameters=settings_of(settings),
        service_account=service_account,
    )
    package = chosen_package(config_path, package_path, kind)
    _print_schedule(_schedules(connection).put(package, schedule, experiment=experiment), as_json)


@command.command("list")
@connection_options
@json_option
def list_(connection: "Connection", as_json: bool) -> None:
    """List all schedules."""
    found = _schedules(connection).listed()
    if as_json:
        click.echo(json.dumps([one.to_dict() for one in found], indent=1))
        return
    if not found:
        click.echo("No schedules. Make one with: skymill schedule create NAME --cron '0 0 2 * * *'")
    for one in found:
        click.echo(f"{one.name:<24} {'on' if one.enabled else 'off':<4} {one.when}")


@command.command()
@click.argument("name")
@connection_options
@json_option
def enable(connection: "Connection", name: str, as_json: bool) -> None:
    """Switch on the schedule NAME."""
    _print_schedule(_schedules(connection).set_enabled(name, True), as_json)


@command.command()
@click.argument("name")
@connection_options
@json_option
def disable(connection: "Connection", name: str, as_json: bool) -> None:
    """Switch off the schedule NAME; an active run continues."""
    _print_schedule(_schedules(connection).set_enabled(name, False), as_json)


@command.command()
@click.argument("name")
@connection_options
@json_option
def delete(connection: "Connection", name: str, as_json: bool) -> None:
    """Delete the schedule NAME, unless one of its runs is active."""
    _print_schedule(_schedules(connection).delete(name), as_json)


def _schedules(connection: "Connection") -> "Schedules":
    from pipelines.kubeflow.client.schedules import Schedules
    from pipelines.kubeflow.client.server import KubeflowServer

    return Schedules(KubeflowServer(connection))


def _print_schedule(one: "Scheduled", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(one.to_dict()))
    else:
        click.echo(f"{one.name}: {one.change} ({one.when})")
        if one.note:
            click.echo(f"skymill: {one.note}", err=True)
