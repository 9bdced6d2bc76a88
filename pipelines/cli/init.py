"""`skymill init`: inspects a folder and writes a configuration that runs."""

import os

import click

from pipelines.cli.options import DEFAULT_CONFIG, LocalPath


@click.command()
@click.argument("folder", type=LocalPath())
@click.option(
    "-o",
    "--output",
    default=DEFAULT_CONFIG,
    show_default=True,
    type=LocalPath(),
    help="Configuration to write.",
)
@click.option("--name", help="Name of the model; default: the folder's name.")
@click.option("--force", is_flag=True, help="Overwrite an existing configuration.")
def command(folder: str, output: str, name: str | None, force: bool) -> None:
    """Look at FOLDER and write a configuration that runs.

    FOLDER holds one of these: a folder for each class, with photographs or GeoTIFF chips of any
    bands; the folders images and masks; scenes with labels beside them (shapes, a raster of
    classes, a folder of masks, or boxes), which are cut into tiles; or a manifest (manifest.csv,
    .jsonl or .parquet) with columns for the path and the truth (label, labels, number or mask) and,
    optionally, the split, the group and slices.
    """
    from components.raster.errors import ConfigError
    from pipelines.starter.propose import model_name, propose_source, starter_config

    if os.path.exists(output) and not force:
        raise ConfigError(f"{output}: is there already. Write over it with --force.")
    proposal = propose_source(folder)
    text = starter_config(proposal, name or model_name(folder), output)
    with open(output, "w", encoding="utf-8") as file:
        file.write(text)
    click.echo(f"{folder}: {proposal}")
    click.echo(f"Wrote {output}. Run it with: skymill run{_unless_default(output)}")


def _unless_default(output: str) -> str:
    return "" if output == DEFAULT_CONFIG else f" {output}"
