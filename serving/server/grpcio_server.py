"""gRPC's calls by grpc.aio."""

from collections.abc import Mapping
from typing import Any

import grpc

from serving.server.config import STREAMS_PER_CONNECTION, ServerConfig


class GrpcioServer:
    """Serves methods by path."""

    def __init__(self, config: ServerConfig, methods: Mapping[str, grpc.RpcMethodHandler]) -> None:
        self._config = config
        self._server = grpc.aio.server(options=_options(config))
        self._server.add_generic_rpc_handlers((_ByPath(methods),))

    async def start(self) -> int:
        """Listens and returns the port.

        Raises:
            OSError: the address cannot be had.
        """
        host = self._config.host
        host = f"[{host}]" if ":" in host else host
        try:
            port: int = self._server.add_insecure_port(f"{host}:{self._config.grpc_port}")
        except RuntimeError as error:
            raise OSError("in use, or no such address") from error
        await self._server.start()
        return port

    async def stop(self, grace_s: float) -> None:
        """Accepts no more connections, and ends all calls that take longer than `grace_s`."""
        await self._server.stop(grace_s)


class _ByPath(grpc.GenericRpcHandler):
    def __init__(self, methods: Mapping[str, grpc.RpcMethodHandler]) -> None:
        self._methods = methods

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler | None:
        return self._methods.get(handler_call_details.method)


def _options(config: ServerConfig) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_request_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
        ("grpc.max_allowed_incoming_connections", config.max_connections),
        ("grpc.server_handshake_timeout_ms", int(1000 * config.header_timeout_s)),
        # The client is notified, and reconnects for its next request.
        ("grpc.max_connection_idle_ms", max(1, int(1000 * config.idle_timeout_s))),
        # SO_REUSEPORT shares connections between servers: only for processes of the same server.
        ("grpc.so_reuseport", int(config.supervisor_pid is not None)),
    ]
