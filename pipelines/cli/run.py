"""`skymill run`: the pipeline from images to a pushed model."""

from typing import TYPE_CHECKING

import click

from pipelines.cli.options import config_argument, json_option, prediction_option

if TYPE_CHECKING:
    from pipelines.definition.kinds import Kind


@click.command()
@config_argument
@json_option
@click.option(
    "--key",
    default="",
    help="Identifies the purpose of the run; a second run with the same key is refused.",
)
@prediction_option
@click.pass_context
def command(ctx: click.Context, config_path: str, as_json: bool, key: str, kind: "Kind") -> None:
    """Run the pipeline of CONFIG (default: skymill.yaml).

    Nodes whose inputs have not changed reuse the results of the last run. Exit code 3 means that a
    gate blocked the run; the summary shows where its report is.
    """
    from pipelines.config.tree import load_config
    from pipelines.local.execute import execute

    record = execute(load_config(config_path), config_path, as_json=as_json, key=key, kind=kind)
    ctx.exit(exit_code(record.outcome))


def exit_code(outcome: str) -> int:
    """Returns the process's exit code for a run's outcome."""
    from pipelines.cli.main import EXIT_BLOCKED, EXIT_FAILED
    from pipelines.local.record import BLOCKED, SUCCEEDED

    return {SUCCEEDED: 0, BLOCKED: EXIT_BLOCKED}.get(outcome, EXIT_FAILED)
