"""Start of a server in one process or several, as configured."""

from collections.abc import Callable

from components.raster.tensorflow_import import import_tensorflow
from components.raster.unscanned import unscanned_imports
from serving.server.addresses import Addresses
from serving.server.config import ServerConfig


def serve(config: ServerConfig, on_ready: Callable[[Addresses], None]) -> None:
    """Serves in this process, or in several child processes, until SIGTERM."""
    if config.processes > 1:
        from serving.server.supervisor import supervise

        supervise(config, on_ready)
    else:
        with unscanned_imports():
            import_tensorflow(keras=False)
            from serving.server.app import run_server  # imports TensorFlow

        run_server(config, on_ready)
