"""`skymill train`: runs the trainer alone, for quick experiments."""

import os

import click

from pipelines.cli.options import config_argument, json_option


@click.command()
@config_argument
@click.option("--run", "run_id", help="Use the examples of this run; default: the last one.")
@click.option(
    "--profile",
    is_flag=False,
    flag_value="10-20",
    metavar="[FIRST-LAST]",
    help="Profile these steps for TensorBoard; without a value, 10-20.",
)
@json_option
def command(config_path: str, run_id: str | None, profile: str | None, as_json: bool) -> None:
    """Train according to CONFIG (default: skymill.yaml) on the examples of a run.

    This neither evaluates on the test split nor pushes: `skymill run` does both, and reuses what
    has not changed since the last run. The results are in a folder of the workspace: model, logs
    (`tensorboard --logdir`), learning curve, answers to the eval split.
    """
    from components.raster.strict_json import strict_json
    from pipelines.config.tree import load_config
    from pipelines.local.rare_classes import are_uneven, rare_classes, read_rare
    from pipelines.local.train_alone import train_alone

    config = load_config(config_path)
    if profile is not None:
        train = config.train.model_copy(update={"profile": _steps(profile)})
        config = config.model_copy(update={"train": train})
    done = train_alone(config, config_path, os.environ, run_id)
    if as_json:
        click.echo(
            strict_json({"folder": done.folder, "epochs": done.curve, "best": done.best}, indent=1)
        )
        return
    rare = read_rare(done.folder)
    if rare and are_uneven(rare):
        click.echo(rare_classes(rare))
    best = done.best
    shown = (f"{name} {value:.4f}" for name, value in best.items() if name.startswith("val_"))
    click.echo(f"epoch {best['epoch']:.0f} of {len(done.curve)}: {', '.join(shown)}")
    click.echo(f"  model     {done.model}\n  logs      {done.logs}\n  pictures  {done.folder}")


def _steps(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise click.UsageError(f"--profile {text!r}: write the first and last step, such as 10-20")
    return int(first), int(last)
