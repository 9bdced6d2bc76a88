"""Options that several commands share."""

import click

DEFAULT_CONFIG = "skymill.yaml"

config_argument = click.argument(
    "config_path", metavar="[CONFIG]", default=DEFAULT_CONFIG, type=click.Path()
)
config_option = click.option(
    "-c",
    "--config",
    "config_path",
    default=DEFAULT_CONFIG,
    show_default=True,
    type=click.Path(),
    help="The configuration that names the place.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
