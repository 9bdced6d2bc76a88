"""`skymill demo`: runs every stage, on a synthetic collection or on a user's class folders."""

import os

import click

from pipelines.cli.options import LocalPath

_FOLDER = "skymill-demo"


@click.command()
@click.option("--data", type=LocalPath(), help="Folder of your own class folders.")
@click.option(
    "--folder",
    default=_FOLDER,
    show_default=True,
    type=LocalPath(),
    help="Folder for all files of the demo.",
)
@click.option(
    "--epochs",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="Epochs of the training.",
)
@click.pass_context
def command(ctx: click.Context, data: str | None, folder: str, epochs: int) -> None:
    """Generate a small land-cover collection, run the pipeline on it, serve and predict.

    With --data, use your own images instead. A repeated call does only what has changed.
    """
    from components.raster.errors import ConfigError
    from pipelines.cli.run import exit_code
    from pipelines.config.tree import load_config
    from pipelines.demo.predict import show_predictions
    from pipelines.local.console import console_on
    from pipelines.local.execute import execute
    from pipelines.starter.propose import model_name, propose_source, starter_config

    if data is not None and not os.path.isdir(data):
        raise ConfigError(f"{data}: no such folder. Give the folder that holds the class folders.")
    source = data or _made(folder)
    name = model_name(source)
    config_path = os.path.join(folder, f"{name}.yaml")
    proposal = propose_source(source)
    click.echo(f"{source}: {proposal}")
    os.makedirs(folder, exist_ok=True)
    with open(config_path, "w", encoding="utf-8") as file:
        file.write(starter_config(proposal, name, config_path, epochs))
    config = load_config(config_path)
    record = execute(config, config_path)
    if record.pushed_version is not None:
        click.echo(f"\nServing version {record.pushed_version} and asking it:")
        show_predictions(config, record, console_on())
    ctx.exit(exit_code(record.outcome))


def _made(folder: str) -> str:
    """Returns the folder of the synthetic collection, which is generated once."""
    from pipelines.demo.collection import Collection, make_collection

    place = os.path.join(folder, "landcover")
    if not os.path.exists(os.path.join(place, "manifest.csv")):
        make_collection(place, Collection())
    return place
