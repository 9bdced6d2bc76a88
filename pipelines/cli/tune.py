"""`skymill tune`: runs the hyperparameter search alone, on the examples of the last run."""

import click

from pipelines.cli.options import LocalPath, config_option, json_option


@click.command()
@config_option
@click.option(
    "-o",
    "--output",
    type=LocalPath(file_okay=False),
    help="Folder for the table, the picture and the best values; default: a new "
    "folder in the workspace.",
)
@json_option
def command(config_path: str, output: str | None, as_json: bool) -> None:
    """Search for good values of the fields in `tune.space`, on the last run's examples.

    To train with the values found, put them into `train`. A run with `tune` searches by itself
    before it trains.
    """
    from pipelines.config.tree import load_config
    from pipelines.local.search_alone import search_alone

    found = search_alone(load_config(config_path), output)
    if as_json:
        click.echo(found.results.to_json(), nl=False)
        return

    from pipelines.local.console import console_on
    from pipelines.local.tuning import tuning_table

    console_on().print(tuning_table(found.results), "")
    click.echo(f"the best values, for your configuration:\n\n{found.best_yaml}")
    click.echo(f"table, picture and curves: {found.folder}")
