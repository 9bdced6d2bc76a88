"""`skymill versions`: lists the pushed versions, and shows the model card of one."""

import json
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import LocalPath, config_option, json_option

if TYPE_CHECKING:
    from serving.store.version_store import VersionStore

_base_option = click.option(
    "--model-base",
    type=LocalPath(),
    help="Folder or store of versions, instead of the configuration's.",
)


@click.group()
def command() -> None:
    """List pushed versions, or show the model card and provenance of one."""


@command.command("list")
@config_option
@_base_option
@json_option
def list_(config_path: str, model_base: str | None, as_json: bool) -> None:
    """List the versions, oldest first, with the main metric of each."""
    from components.push.card.wording import measured_text
    from components.push.pushed import read_provenance
    from components.raster.errors import DataError

    store = _store(config_path, model_base)
    rows: list[dict[str, object]] = []
    for number in store.numbers():
        try:
            found = read_provenance(store, number)
        except DataError as error:
            rows.append({"version": number, "pushed_at": None, "metrics": str(error)})
            continue
        card = found.card
        measured = measured_text(card.metrics, card.metrics.overall) if card else "no model card"
        pushed_at = found.document.get("pushed_at")
        rows.append({"version": number, "pushed_at": pushed_at, "metrics": measured})
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        click.echo(f"{row['version']}  {row['pushed_at'] or 'time unknown'}  {row['metrics']}")


@command.command()
@click.argument("number", type=click.IntRange(0))
@config_option
@_base_option
@json_option
def show(number: int, config_path: str, model_base: str | None, as_json: bool) -> None:
    """Print the model card of version NUMBER, and check model and provenance by their digests.

    The same card is beside the model as a page (provenance/model_card.html) and as a STAC item.
    """
    from components.push.card.wording import card_text
    from components.push.pushed import is_model_as_pushed, read_provenance
    from components.raster.errors import DataError

    store = _store(config_path, model_base)
    found = read_provenance(store, number)
    changed = list(found.changed)
    if not is_model_as_pushed(store, number, found):
        changed.append("the model itself")
    if as_json:
        card = found.card and json.loads(found.card.to_json())
        evidence = {"card": card, "provenance": found.document}
        click.echo(json.dumps({"version": number, **evidence}, indent=1))
    elif found.card is None:
        click.echo(f"version {number}, pushed without a model card\n")
        click.echo(json.dumps(found.document, indent=1))
    else:
        click.echo(card_text(found.card, number))
        click.echo(f"{len(found.checked)} files of its provenance are as pushed")
    if changed:
        raise DataError(
            f"version {number}: {', '.join(changed)} changed after the push: do not trust "
            "its provenance; push the model again"
        )


def _store(config_path: str, model_base: str | None) -> "VersionStore":
    from pipelines.config.tree import load_config
    from serving.store.version_store import version_store

    return version_store(model_base or load_config(config_path).model_base)
