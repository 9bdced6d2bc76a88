"""`skymill config`: check a configuration, or print the JSON schema of one."""

import click

from pipelines.cli.options import config_argument


@click.group()
def command() -> None:
    """Check a configuration, or print its JSON schema."""


@command.command()
@config_argument
def check(config_path: str) -> None:
    """Check a configuration without running anything."""
    from pipelines.config.tree import load_config

    config = load_config(config_path)
    click.echo(f"{config_path}: fine; model {config.name!r}, workspace {config.workspace}")


@command.command("json-schema")
def json_schema() -> None:
    """Print the JSON schema of a configuration, for editors."""
    from pipelines.config.tree import config_json_schema

    click.echo(config_json_schema(), nl=False)
