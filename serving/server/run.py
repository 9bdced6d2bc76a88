"""Start of a server in one process or several, as configured."""

from collections.abc import Callable
from importlib.util import find_spec

from components.raster.errors import ConfigError
from components.raster.tensorflow_import import import_tensorflow
from components.raster.unscanned import unscanned_imports
from serving.server.addresses import Addresses
from serving.server.config import ServerConfig


def serve(config: ServerConfig, on_ready: Callable[[Addresses], None]) -> None:
    """Serves in this process, or in several child processes, until SIGTERM.

    Raises:
        ConfigError: the library of gRPC is not installed.
        ListenError: a port is taken.
    """
    if config.grpc_library == "ngh2" and find_spec("ngh2") is None:
        raise ConfigError(
            "grpc_library: ngh2 needs a package that is not installed. Run "
            "`pip install skymill[http2]`, or set `grpc_library: grpcio`."
        )
    if config.processes > 1:
        from serving.server.supervisor import supervise

        supervise(config, on_ready)
    else:
        with unscanned_imports():
            import_tensorflow(keras=False)
            from serving.server.app import run_server  # imports TensorFlow

        run_server(config, on_ready)
