"""`skymill serve`: serves the models that the pipeline pushed with the embedded server."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import click

from components.raster.errors import SkymillError
from pipelines.cli.options import LocalPath, config_option


@click.command()
@config_option
@click.option(
    "--model-base",
    type=LocalPath(),
    help="Folder of versions to serve, instead of the configuration's.",
)
@click.option("--name", help="Name of the model, with --model-base.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--grpc-port", default=8500, show_default=True, type=int, help="Port of gRPC.")
@click.option("--rest-port", default=8501, show_default=True, type=int, help="Port of REST.")
@click.option(
    "--processes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Number of server processes that share the ports; each holds the model.",
)
def command(
    config_path: str,
    model_base: str | None,
    name: str | None,
    host: str,
    grpc_port: int,
    rest_port: int,
    processes: int,
) -> None:
    """Serve the pushed model with TensorFlow Serving's gRPC and REST API until Ctrl-C.

    A newer version is served as soon as it is pushed. For production, use the official
    tensorflow/serving image; docker/serving/ has its configuration.
    """
    import logging
    from pathlib import Path

    from components.raster.errors import ConfigError
    from components.raster.location import is_remote, local_path
    from components.raster.process_exit import exit_despite_threads
    from pipelines.config.tree import load_config
    from pipelines.local.console import output_to_log
    from serving.server.addresses import Addresses
    from serving.server.config import ServerConfig
    from serving.server.run import serve

    if model_base is None:
        config = load_config(config_path)
        model_base, name = config.model_base, config.name
    if is_remote(model_base):
        raise ConfigError(
            f"{model_base}: a server watches a folder. Copy it first:\n"
            f"  python -m serving.store.sync {model_base} FOLDER --once\n"
            "  skymill serve --model-base FOLDER"
        )
    model_base = local_path(model_base)
    if not Path(model_base).is_dir():
        raise ConfigError(f"{model_base}: no version has been pushed here. First: skymill run")
    server_config = ServerConfig(
        model_base=Path(model_base),
        model_name=name or Path(model_base).name,
        host=host,
        grpc_port=grpc_port,
        rest_port=rest_port,
        processes=processes,
    )
    with _log_of_failures() as log_path:
        click.echo(f"Loading {model_base}; the frameworks' output goes to {log_path}", err=True)
        with output_to_log(log_path) as terminal:
            logging.basicConfig(
                level=logging.INFO, format="%(asctime)s %(message)s", stream=terminal.err.file
            )
            logging.getLogger("absl").setLevel(logging.WARNING)

            def announce(addresses: Addresses) -> None:
                name = server_config.model_name
                terminal.err.print(f"{name}: {addresses.grpc}  {addresses.rest}")

            serve(server_config, announce)
    exit_despite_threads(0)


@contextmanager
def _log_of_failures() -> Iterator[str]:
    """Yields the path of a log that is kept only if the command fails unexpectedly."""
    handle, path = tempfile.mkstemp(prefix="skymill-serve-", suffix=".log")
    os.close(handle)
    try:
        yield path
    except (SkymillError, KeyboardInterrupt):  # reported to the user, or intended
        os.unlink(path)
        raise
    os.unlink(path)
