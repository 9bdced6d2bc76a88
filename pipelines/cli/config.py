"""`skymill config`: check a configuration, or print the JSON schema of one."""

import click

from pipelines.cli.options import config_argument, echo_unchecked


@click.group()
def command() -> None:
    """Check a configuration, or print its JSON schema."""


@command.command()
@config_argument
def check(config_path: str) -> None:
    """Check a configuration, and that the local files, folders and code it names exist."""
    from components.ingest.files.spans import has_pattern
    from components.raster.location import is_remote
    from pipelines.config.tree import load_config
    from pipelines.definition.extensions import check_extensions
    from pipelines.definition.required_paths import require_inputs
    from pipelines.definition.resolve import at_span

    config = load_config(config_path)
    echo_unchecked(config)
    check_extensions(config)
    place = config.ingest.source.uri
    # The spans in a remote store are not listed here: a check needs no credentials.
    if not (is_remote(place) and has_pattern(place)):
        require_inputs(at_span(config))
    click.echo(f"{config_path}: fine; model {config.name!r}, workspace {config.workspace}")


@command.command("json-schema")
def json_schema() -> None:
    """Print the JSON schema of a configuration, for editors."""
    from pipelines.config.tree import config_json_schema

    click.echo(config_json_schema(), nl=False)
