"""`skymill submit`: starts a run on Kubeflow Pipelines."""

import json
from typing import TYPE_CHECKING

import click

from pipelines.cli.follow import follow_and_report
from pipelines.cli.kubeflow_options import (
    chosen_package,
    connection_options,
    metadata_option,
    settings_of,
    with_package_options,
)
from pipelines.cli.options import json_option

if TYPE_CHECKING:
    from pipelines.definition.kinds import Kind
    from pipelines.kubeflow.client.connection import Connection


@click.command()
@with_package_options
@click.option(
    "--run-name", help="Displayed name of the run; default: the pipeline's name and the time."
)
@click.option(
    "--key", help="Identifies the purpose of the run: with the same key no second run is started."
)
@click.option(
    "--follow", "wait", is_flag=True, help="Wait until the run ends, and print how it ended."
)
@click.option(
    "--timeout", "timeout_s", type=float, help="Seconds after which --follow stops waiting."
)
@metadata_option
@connection_options
@json_option
def command(
    connection: "Connection",
    config_path: str | None,
    package_path: str | None,
    kind: "Kind",
    settings: tuple[str, ...],
    experiment: str | None,
    service_account: str,
    run_name: str | None,
    key: str | None,
    wait: bool,
    timeout_s: float | None,
    as_json: bool,
) -> None:
    """Start a run on Kubeflow Pipelines 2.x.

    The package becomes a version of its pipeline on the server, once for each content. Submitting a
    compiled package needs no TensorFlow; a configuration is compiled first. With --follow, exit
    code 3 means that a gate blocked the run.
    """
    from pipelines.kubeflow.client.server import KubeflowServer

    package = chosen_package(config_path, package_path, kind)
    server = KubeflowServer(connection)
    run_id = server.submit(
        package,
        settings_of(settings),
        run_name=run_name,
        key=key,
        experiment=experiment,
        service_account=service_account,
    )
    if wait:
        if not as_json:
            click.echo(f"{package.name}: run {run_id}")
        follow_and_report(server, run_id, timeout_s, as_json)
    elif as_json:
        click.echo(json.dumps({"run_id": run_id, "pipeline": package.name}))
    else:
        click.echo(f"{package.name}: run {run_id}\nFollow it with: skymill follow {run_id}")
