"""Errors of a request, with TensorFlow Serving's status codes."""

from enum import Enum

import grpc

from components.raster.errors import PortableError, SkymillError


class Code(Enum):
    """Canonical status: its number in error_codes.proto and TF Serving's HTTP status for it."""

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
        """Number on the wire."""
        return self.value[0]

    @property
    def http_status(self) -> int:
        """HTTP status over REST."""
        return self.value[1]

    @property
    def grpc(self) -> grpc.StatusCode:
        """The same status as a grpc.StatusCode."""
        return grpc.StatusCode[self.name]


_MOST_CHARS = 2000  # gRPC clients accept 8 KiB of metadata; escaping may take three bytes each

_BY_NUMBER = {code.number: code for code in Code}


def code_of_number(number: int) -> Code:
    """Returns the canonical status for a number; UNKNOWN for an undefined one."""
    return _BY_NUMBER.get(number, Code.UNKNOWN)


class ListenError(SkymillError):
    """The server cannot listen on the configured address."""

    def __init__(self, protocol: str, host: str, port: int, reason: object) -> None:
        super().__init__(
            f"Cannot listen on {host}:{port} for {protocol} ({reason}). Is another server "
            "running there? Choose another port; 0 takes any free one."
        )


class ServingError(PortableError):
    """Failed request: the status and message that the client gets."""

    def __init__(self, code: Code, message: str, *, http_status: int | None = None) -> None:
        if len(message) > _MOST_CHARS:  # it may quote the client's input
            message = f"{message[: _MOST_CHARS // 2]} ... {message[-_MOST_CHARS // 2 :]}"
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = code.http_status if http_status is None else http_status
