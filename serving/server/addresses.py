"""Addresses of a running server."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Addresses:
    """Host and ports of both protocols."""

    host: str
    grpc_port: int
    rest_port: int

    @property
    def grpc(self) -> str:
        """Address for a gRPC channel, and for `serving.client.connect`."""
        return f"grpc://{self.host}:{self.grpc_port}"

    @property
    def rest(self) -> str:
        """Root URL of the REST API."""
        return f"http://{self.host}:{self.rest_port}"
