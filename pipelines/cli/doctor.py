"""`skymill doctor`: checks a Kubeflow installation."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from pipelines.cli.kubeflow_options import metadata_option, optional_connection
from pipelines.cli.options import LocalPath, json_option

if TYPE_CHECKING:
    from pipelines.kubeflow.client.connection import Connection
    from pipelines.kubeflow.client.doctor import Needs
    from pipelines.kubeflow.client.finding import DoctorFinding

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "unknown": "yellow"}


@click.command()
@click.option(
    "-c",
    "--config",
    "config_path",
    type=LocalPath(),
    help="Configuration whose images, claims and secrets to check.",
)
@click.option(
    "--service-account",
    default="skymill-steps",
    show_default=True,
    help="Service account of the steps' pods; empty leaves it to the cluster.",
)
@metadata_option
@optional_connection
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    connection: "Connection | None",
    config_path: str | None,
    service_account: str,
    as_json: bool,
) -> None:
    """Check an installation of Kubeflow Pipelines before the first run, with a remedy for each
    fault.

    The server is asked for connection, version and namespace; the Kubernetes API for permissions,
    account, pipeline root, claims, secrets and default retries, with $KUBECONFIG or the pod's
    account; and registries for their images. Exit code 1 means that a check failed. A check that is
    not possible from here is unknown.
    """
    from components.raster.errors import ConfigError
    from pipelines.kubeflow.client.doctor import examine
    from pipelines.kubeflow.client.server import KubeflowServer
    from pipelines.kubeflow.cluster.api import connect_cluster

    if connection is None:
        raise click.UsageError(
            "give --kubeflow or --endpoint; this machine is checked by: skymill config check"
        )
    try:
        cluster = connect_cluster(connection.namespace or "kubeflow")
    except ConfigError:
        cluster = None
    needs = _needs(config_path, service_account)
    found = examine(KubeflowServer(connection), cluster, needs)
    if as_json:
        click.echo(json.dumps([one.to_dict() for one in found], indent=1))
    else:
        for one in found:
            _print(one)
    ctx.exit(1 if any(one.state == "failed" for one in found) else 0)


def _print(finding: "DoctorFinding") -> None:
    state = click.style(f"{finding.state:>7}", fg=_COLOURS[finding.state])
    click.echo(f"{state}  {finding.check:<13} {finding.detail}")
    if finding.remedy:
        click.echo(f"{'':>23}{finding.remedy}")


def _needs(config_path: str | None, service_account: str) -> "Needs":
    """Returns what the steps of a configuration require; without one only what all runs do."""
    from pipelines.kubeflow.client.doctor import Needs

    if config_path is None:
        return Needs(service_account)
    from pipelines.config.tree import load_config

    kubeflow = load_config(config_path).kubeflow
    steps = [kubeflow.steps, *(kubeflow.step(node) for node in kubeflow.nodes)]
    secrets = [one.secret for step in steps for one in step.secret_variables or ()]
    secrets += [one.secret for step in steps for one in step.secret_volumes or ()]
    return Needs(
        service_account,
        pipeline_root=kubeflow.pipeline_root or "",
        images=_unique(step.image for step in steps if step.image),
        claims=_unique(one.claim for step in steps for one in step.volumes or ()),
        secrets=_unique(secrets),
        pull_secrets=kubeflow.image_pull_secrets,
        workers=kubeflow.workers is not None,
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
