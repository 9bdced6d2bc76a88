"""The command line's entry point: maps each command to its module.

Neither this module nor a command's module imports a heavy library before the command runs, so
that ``skymill --help`` answers at once.
"""

import importlib
import os
import sys
import traceback
from typing import Any

import click

from components.raster.errors import SkymillError
from components.raster.full_disk import full_disk_as_error
from components.raster.masking import masked
from components.raster.process_exit import EXIT_STOPPED, exit_with_handlers
from pipelines.cli.quiet import quiet_frameworks
from pipelines.cli.stopping import Stopped, stop_like_ctrl_c

#: Exit codes, for scripts. Click itself uses 2 for a wrong call.
EXIT_FAILED, EXIT_USAGE, EXIT_BLOCKED = 1, 2, 3

_COMMANDS = {
    "init": "Look at a folder of images and write a configuration that runs.",
    "look": "Draw what a model will see: examples, truth, rejects, tiles.",
    "splits": "Count the splits, and check whether they leak.",
    "run": "Run the pipeline: from images to a pushed model.",
    "tune": "Search for good values for the trainer on the last run's examples.",
    "train": "Train only, on the examples of the last run.",
    "evaluate": "Cross-validate by place, to see how much a metric depends on it.",
    "runs": "List, show, compare, stop or retry runs, or print their logs.",
    "watch": "Start a run whenever there is new data.",
    "schema": "Show the data schema, or accept the one that a run inferred.",
    "compile": "Write the package that Kubeflow Pipelines or Vertex AI runs.",
    "submit": "Start a run on Kubeflow Pipelines.",
    "follow": "Wait for a run on Kubeflow Pipelines, and print how it ended.",
    "doctor": "Check an installation of Kubeflow Pipelines.",
    "schedule": "Manage recurring runs on Kubeflow Pipelines.",
    "versions": "List pushed versions; show the model card of one.",
    "serve": "Serve the pushed model over gRPC and REST.",
    "predict": "Send images to a server and print its answers.",
    "explain": "Show the pixels, or the training examples, behind a model's answers.",
    "labels": "Look for wrong labels in the examples of a run.",
    "assess": "Assess a finished map: sample, labels, accuracy, areas.",
    "map": "Map whole scenes with the pushed model.",
    "batch": "Predict whole archives with the pushed model, into files.",
    "stream": "Predict images as they arrive.",
    "config": "Check a configuration, or print its JSON schema.",
    "demo": "Run everything on a generated collection, or on your own class folders.",
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module: Any = importlib.import_module(f"pipelines.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="skymill", prog_name="skymill")
def cli() -> None:
    """Train, check and serve computer vision models on imagery.

    Exit codes: 0 success, 1 failure, 2 wrong call or configuration, 3 a gate blocked the run.
    """
    quiet_frameworks()


def main() -> None:
    """Runs the command line; prints an error that a user can act on without a traceback."""
    stop_like_ctrl_c()
    try:
        with full_disk_as_error():
            code = cli(standalone_mode=False)
            sys.stdout.flush()
        exit_with_handlers(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt) as error:
        click.echo("Interrupted.", err=True)
        stopped = isinstance(error, Stopped) or isinstance(error.__cause__, Stopped)
        sys.exit(EXIT_STOPPED if stopped else EXIT_FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
    except SkymillError as error:
        _drop_unwritten_output()
        click.echo(f"skymill: {error}", err=True)
        sys.exit(_exit_code(error))
    except Exception as error:
        click.echo(masked(_unexpected(error)), err=True)
        sys.exit(EXIT_FAILED)


def _drop_unwritten_output() -> None:
    """Drops output that cannot be written, as on a full disk; Python would retry it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: Exception) -> str:
    """Formats an OS error of a path as one sentence and any other error as a traceback."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"skymill: {error.filename}: {error.strerror}"
    return "".join(traceback.format_exception(error))


def _exit_code(error: SkymillError) -> int:
    from components.raster.errors import ConfigError

    return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED
