"""`skymill compile`: the package for Kubeflow Pipelines or Vertex AI."""

from typing import TYPE_CHECKING

import click

from pipelines.cli.options import LocalPath, config_option, echo_unchecked, prediction_option

if TYPE_CHECKING:
    from pipelines.definition.kinds import Kind


@click.command()
@config_option
@click.option(
    "-o",
    "--output",
    default="package.yaml",
    show_default=True,
    type=LocalPath(dir_okay=False),
    help="Package to write.",
)
@click.option(
    "--vertex", is_flag=True, help="Write a PipelineJob (JSON) for Vertex AI instead of a package."
)
@prediction_option
def command(config_path: str, output: str, vertex: bool, kind: "Kind") -> None:
    """Write the package that Kubeflow Pipelines 2.x runs.

    This reads no data: the run's first step, Prepare, looks up what the run must know. Prepare also
    checks what this command lists as not checked because its package is not installed.
    """
    import json
    import os

    from pipelines.config.tree import load_config
    from pipelines.local.console import output_to_log

    config = load_config(config_path)
    echo_unchecked(config)
    with output_to_log(os.devnull):
        from pipelines.kubeflow.compile.package import compile_package, vertex_job

        if vertex:
            text = json.dumps(vertex_job(config, kind), indent=2, sort_keys=True) + "\n"
        else:
            text = compile_package(config, kind=kind).to_yaml()
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    with open(output, "w", encoding="utf-8") as file:
        file.write(text)
    click.echo(f"{output}: {'a job for Vertex AI' if vertex else 'a package for Kubeflow'}")
