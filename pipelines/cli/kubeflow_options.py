"""Options and output of the commands that call a Kubeflow Pipelines server."""

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.options import DEFAULT_CONFIG, LocalPath, prediction_option

if TYPE_CHECKING:
    from pipelines.definition.kinds import Kind
    from pipelines.kubeflow.client.connection import Connection
    from pipelines.kubeflow.client.run_state import RunState
    from pipelines.kubeflow.client.server import KubeflowServer
    from pipelines.kubeflow.client.submission import Submission

Command = Callable[..., None]

_CONNECTION = (
    click.option("--endpoint", help="Server address, http:// or https://; $SKYMILL_KFP_ENDPOINT."),
    click.option(
        "--namespace",
        help="Namespace of the runs, in a multi-user installation; $SKYMILL_KFP_NAMESPACE.",
    ),
    click.option(
        "--token-file",
        type=LocalPath(),
        help="File with a bearer token, read before each request; "
        "$SKYMILL_KFP_TOKEN_FILE. To pass the token itself: $SKYMILL_KFP_TOKEN. For"
        " Google's proxy: $SKYMILL_KFP_IAP_CLIENT_ID.",
    ),
    click.option(
        "--cookie-file",
        type=LocalPath(),
        help="File with a Dex session, as name=value; $SKYMILL_KFP_COOKIE_FILE or "
        "$SKYMILL_KFP_COOKIE.",
    ),
    click.option("--ca-file", type=LocalPath(), help="Certificates to trust; $SKYMILL_KFP_CA."),
    click.option(
        "--plain-http",
        is_flag=True,
        default=None,
        help="Allow a token to be sent over http.",
    ),
)


def connection_options(command: Command) -> Command:
    """Adds the connection options and passes them to the command as one argument `connection`."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        command(connection=_connection(_taken(given)), **given)

    return _with_options(wrapped)


def optional_connection(command: Command) -> Command:
    """Adds `--kubeflow` and the connection options for a command that also works locally.

    The argument `connection` is None unless `--kubeflow` or an address is given: an environment
    variable alone never sends a command to a server.
    """

    @functools.wraps(command)
    def wrapped(kubeflow: bool, **given: Any) -> None:
        own = _taken(given)
        chosen = kubeflow or own["endpoint"] is not None
        command(connection=_connection(own) if chosen else None, **given)

    flag = click.option(
        "--kubeflow", is_flag=True, help="Use the runs of a server, not of this machine."
    )
    return flag(_with_options(wrapped))


def _with_options(command: Command) -> Command:
    for option in reversed(_CONNECTION):
        command = option(command)
    return command


def _taken(given: dict[str, Any]) -> dict[str, Any]:
    """Removes the connection's options from a command's arguments and returns them."""
    names = ("endpoint", "namespace", "token_file", "cookie_file", "ca_file", "plain_http")
    own = {name: given.pop(name) for name in names}
    if "metadata" in given:
        own["metadata"] = given.pop("metadata")
    return own


def _connection(own: dict[str, Any]) -> "Connection":
    from pipelines.kubeflow.client.connection import connection_from

    return connection_from(os.environ, **own)


metadata_option = click.option(
    "--metadata",
    help="HOST:PORT of the metadata store, for the metrics of servers up to 2.17; "
    "$SKYMILL_KFP_METADATA.",
)
package_options = (
    click.option(
        "-c", "--config", "config_path", type=LocalPath(), help="Configuration to compile."
    ),
    click.option("-p", "--package", "package_path", type=LocalPath(), help="Compiled package."),
    prediction_option,
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Parameter of the run; may be repeated.",
    ),
    click.option("--experiment", help="Experiment that groups runs; default: the pipeline's name."),
    click.option(
        "--service-account",
        default="skymill-steps",
        show_default=True,
        help="Service account of the steps' pods; empty leaves it to the cluster.",
    ),
)


def with_package_options(command: Any) -> Any:
    """Adds the options that name a package and its parameters."""
    for option in reversed(package_options):
        command = option(command)
    return command


def chosen_package(config_path: str | None, package_path: str | None, kind: "Kind") -> "Submission":
    """Returns the package that the options name, by default that of the default configuration."""
    from pipelines.kubeflow.client.sources import submission_of
    from pipelines.kubeflow.client.submission import read_submission
    from pipelines.local.console import output_to_log

    if config_path and package_path:
        raise click.UsageError("give a configuration or a package, not both")
    if package_path:
        return read_submission(package_path)
    with output_to_log(os.devnull):
        return submission_of(config_path or DEFAULT_CONFIG, kind)


def settings_of(settings: tuple[str, ...]) -> dict[str, str]:
    """Parses `NAME=VALUE` settings."""
    found: dict[str, str] = {}
    for one in settings:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set {one}: is not NAME=VALUE")
        if name in found:
            raise click.UsageError(f"--set {name}: is given twice")
        found[name] = value
    return found


def print_step(step: str, state: str) -> None:
    """Prints one line for a step, in the format of `skymill run`."""
    word = "done" if state == "SUCCEEDED" else state.lower()
    click.echo(f"  {word:>9}  {step}")


def print_waiting(step: str, reason: str) -> None:
    """Prints one line for a step whose pod cannot start."""
    print_step(f"{step}: {reason}", "WAITING")


def print_end(state: "RunState", connection: "Connection") -> None:
    """Prints the outcome of a run, and where to look if it failed."""
    click.echo(f"{state.name}: {state.state.lower()} (run {state.run_id})")
    for one in state.failed:
        click.echo(f"  failed: {one.step}" + (f": {one.reason}" if one.reason else ""))
    if state.error:
        click.echo(f"  {state.error}")
    if not state.succeeded:
        namespace = connection.namespace or "kubeflow"
        click.echo(
            "Logs of the steps:\n"
            f"  kubectl -n {namespace} logs --all-containers --prefix --tail=40 "
            f"-l pipeline/runid={state.run_id}"
        )


def readable_metrics(server: "KubeflowServer", run_id: str) -> dict[str, float] | None:
    """Returns the run's metrics, if they can be read; a failure never hides the outcome."""
    from pipelines.kubeflow.client.errors import KubeflowError

    try:
        return server.metrics(run_id)
    except KubeflowError as error:
        click.echo(f"skymill: {error}", err=True)
        return None


def exit_code_of(state: "RunState") -> int:
    """Returns 0 for a success, 1 for a failed run and 3 for one that a gate blocked."""
    from pipelines.cli.main import EXIT_BLOCKED, EXIT_FAILED

    if state.succeeded:
        return 0
    return EXIT_BLOCKED if state.blocked else EXIT_FAILED
