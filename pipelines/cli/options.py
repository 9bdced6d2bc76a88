"""Options that several commands share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipelines.config.tree import PipelineConfig

DEFAULT_CONFIG = "skymill.yaml"


class LocalPath(click.Path):
    """A path; a `file://` URI is the path that it names, as in a configuration."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Returns the path in the requested type."""
        from components.raster.location import is_remote, local_path

        text = os.fspath(value)
        return super().convert(text if is_remote(text) else local_path(text), param, ctx)


config_argument = click.argument(
    "config_path", metavar="[CONFIG]", default=DEFAULT_CONFIG, type=LocalPath()
)
config_option = click.option(
    "-c",
    "--config",
    "config_path",
    default=DEFAULT_CONFIG,
    show_default=True,
    type=LocalPath(),
    help="Configuration file.",
)
prediction_option = click.option(
    "--prediction",
    "kind",
    flag_value="prediction",
    default="training",
    help="Use the pipeline of predictions over an archive (section prediction), not "
    "that of training.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def local_model_base(base: str) -> Path:
    """Returns the folder of pushed versions that a model is loaded from in this process.

    Raises:
        ConfigError: it is remote.
    """
    from components.raster.errors import ConfigError
    from components.raster.location import is_remote

    if is_remote(base):
        raise ConfigError(
            f"{base} is remote: copy it (python -m serving.store.sync {base} FOLDER --once), and "
            "give --model-base FOLDER."
        )
    return Path(base)


def echo_unchecked(config: "PipelineConfig") -> None:
    """Prints which of the user's code is not checked, since its package is not installed here."""
    from pipelines.definition.extensions import missing_extensions

    for reason in missing_extensions(config):
        click.echo(f"not checked: {reason}", err=True)
