"""The one error that a request can end in, with TensorFlow Serving's status codes."""

from enum import Enum

import grpc

from components.raster.errors import PortableError, SkymillError


class Code(Enum):
    """A canonical status: its number in error_codes.proto and TF Serving's HTTP status for it."""

    OK = (0, 200)
    CANCELLED = (1, 499)
    UNKNOWN = (2, 500)
    INVALID_ARGUMENT = (3, 400)
    DEADLINE_EXCEEDED = (4, 504)
    NOT_FOUND = (5, 404)
    ALREADY_EXISTS = (6, 409)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    FAILED_PRECONDITION = (9, 400)
    ABORTED = (10, 409)
    OUT_OF_RANGE = (11, 400)
    UNIMPLEMENTED = (12, 501)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)
    DATA_LOSS = (15, 500)
    UNAUTHENTICATED = (16, 401)

    @property
    def number(self) -> int:
        """The number on the wire."""
        return self.value[0]

    @property
    def http_status(self) -> int:
        """The HTTP status that goes with it over REST."""
        return self.value[1]

    @property
    def grpc(self) -> grpc.StatusCode:
        """The same status in grpc's words."""
        return grpc.StatusCode[self.name]


_MOST_CHARS = 2000  # gRPC clients take 8 KiB of metadata, and each may be escaped to three bytes

_BY_NUMBER = {code.number: code for code in Code}


def code_of_number(number: int) -> Code:
    """The canonical status for a number; UNKNOWN for one that is none."""
    return _BY_NUMBER.get(number, Code.UNKNOWN)


class ListenError(SkymillError):
    """The server cannot have the address that it was told to listen on."""

    def __init__(self, protocol: str, host: str, port: int, reason: object) -> None:
        super().__init__(
            f"Cannot listen on {host}:{port} for {protocol} ({reason}). Is another server "
            "running there? Choose another port; 0 takes any free one."
        )


class ServingError(PortableError):
    """A request that failed: what the client is told."""

    def __init__(self, code: Code, message: str, *, http_status: int | None = None) -> None:
        if len(message) > _MOST_CHARS:  # it may repeat what the client sent
            message = f"{message[: _MOST_CHARS // 2]} ... {message[-_MOST_CHARS // 2 :]}"
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = code.http_status if http_status is None else http_status
