"""`skymill schema`: shows the data schema, or accepts the one that a run inferred."""

import os
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import LocalPath, config_option

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0.schema_pb2 import Schema

_FILE = "schema.pbtxt"


@click.group()
def command() -> None:
    """Show the data schema, or accept the one that a run inferred."""


@command.command()
@config_option
def show(config_path: str) -> None:
    """Show the accepted schema in words, or the last inferred one if none is accepted yet."""
    from components.schema.schema_store import read_accepted
    from components.schema.wording import describe
    from pipelines.config.tree import load_config

    config = load_config(config_path)
    home = config.schema_.home
    accepted = read_accepted(home)
    if accepted is not None:
        click.echo(f"accepted, in {home}")
        schema = accepted
    else:
        schema, path = _last_of_runs(config.workspace)
        click.echo(f"inferred by the last run, in {path}; accept it with: skymill schema accept")
    for line in describe(schema):
        click.echo(f"  {line}")


@command.command()
@config_option
@click.option("--from", "source", type=LocalPath(), help="Schema file; default: the last run's.")
def accept(config_path: str, source: str | None) -> None:
    """Accept the schema of the last run, or of a file, as the one for later runs."""
    from components.schema.schema_store import accept as accept_schema
    from components.schema.schema_store import read_accepted
    from components.schema.wording import diff
    from pipelines.config.tree import load_config

    config = load_config(config_path)
    home = config.schema_.home
    schema, path = _read(source) if source else _last_of_runs(config.workspace)
    changes = diff(read_accepted(home), schema)
    backup = accept_schema(home, schema)
    for line in changes:
        click.echo(f"  {line}")
    click.echo(f"{path}\n  is now the accepted schema, in {home}")
    if backup:
        click.echo(f"  the one before it: {backup}")


def _last_of_runs(workspace: str) -> "tuple[Schema, str]":
    """Returns the schema of the newest run that inferred one, and its path."""
    from components.raster.errors import DataError
    from pipelines.definition.workspace import Workspace
    from pipelines.local.record import list_records

    runs = Workspace(workspace).runs
    for record in list_records(runs):
        node = record.node("Schema")
        if node is not None:
            return _read(os.path.join(node.uri("schema"), _FILE))
    raise DataError(f"{runs}: no run has inferred a schema yet. First: skymill run")


def _read(path: str) -> "tuple[Schema, str]":
    from components.raster.errors import DataError
    from components.schema.schema_store import parse

    try:
        with open(path, "rb") as file:
            return parse(file.read(), path), path
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
