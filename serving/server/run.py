"""Start a server in the form that its configuration asks for."""

from collections.abc import Callable

from serving.server.addresses import Addresses
from serving.server.config import ServerConfig


def serve(config: ServerConfig, on_ready: Callable[[Addresses], None]) -> None:
    """Serve in this process, or in several below it, until told to stop."""
    if config.processes > 1:
        from serving.server.supervisor import supervise

        supervise(config, on_ready)
    else:
        from serving.server.app import run_server  # imports TensorFlow

        run_server(config, on_ready)
