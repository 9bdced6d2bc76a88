"""Refusals by the API server: a gRPC code, the chain of reasons, an HTTP status."""

from typing import Any

INVALID, NOT_FOUND, EXISTS, DENIED, ABORTED, INTERNAL, UNAUTHENTICATED = 3, 5, 6, 7, 10, 13, 16
_HTTP = {
    INVALID: 400,
    NOT_FOUND: 404,
    EXISTS: 409,
    DENIED: 403,
    ABORTED: 409,
    INTERNAL: 500,
    UNAUTHENTICATED: 401,
}


class Refusal(Exception):
    """An answer that is not a success.

    A user's error keeps its code however often it is wrapped, unless a layer turns it into an
    internal one, as the server does with a package that it cannot read.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        return _HTTP[self.code]

    def within(self, message: str) -> "Refusal":
        """The same, wrapped once more."""
        return Refusal(self.code, f"{message}: {self.message}")

    def as_internal(self, message: str) -> "Refusal":
        """The same, hidden behind an internal error."""
        return Refusal(INTERNAL, f"InternalServerError: {message}: {self.message}")

    def body(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "details": []}


def invalid(message: str) -> Refusal:
    return Refusal(INVALID, f"Invalid input error: {message}")


def not_found(message: str) -> Refusal:
    return Refusal(NOT_FOUND, f"ResourceNotFoundError: {message}")


def exists(message: str) -> Refusal:
    return Refusal(EXISTS, f"Already exist error: {message}")
