"""Where a running server listens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Addresses:
    """The host and the ports of both protocols."""

    host: str
    grpc_port: int
    rest_port: int

    @property
    def grpc(self) -> str:
        """For a gRPC channel, and `serving.client.connect`."""
        return f"grpc://{self.host}:{self.grpc_port}"

    @property
    def rest(self) -> str:
        """The root of the REST API."""
        return f"http://{self.host}:{self.rest_port}"
