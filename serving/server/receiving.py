"""The body of an HTTP request, taken within bounds of size and time."""

import asyncio
from collections.abc import Callable

from aiohttp import HttpVersion11, web

from components.raster.errors import PortableError

_CONTINUE = "100-continue"


class BodyRefused(PortableError):
    """A body that is not taken: the HTTP status, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def receive(
    request: web.BaseRequest,
    *,
    max_bytes: int,
    timeout_s: float,
    reach: Callable[[int], None] = lambda size: None,
) -> bytearray:
    """The whole body, decompressed; a client that waits to be told to go on with it is told.

    Args:
        request: its headers are there, its body need not be.
        max_bytes: larger bodies are refused, before any of it is sent where the client says so.
        timeout_s: for all of it.
        reach: called with the size that is to be kept, before it grows; may raise.

    Raises:
        BodyRefused: it is too large, too late, or not what the headers say.
        ConnectionError: the client is gone.
    """
    _check_size(request.content_length or 0, max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            await _invite(request)
            async for chunk in request.content.iter_any():
                _check_size(len(body) + len(chunk), max_bytes)
                reach(len(body) + len(chunk))
                body += chunk
    except TimeoutError:
        raise BodyRefused(
            408, f"The request's body did not arrive within {timeout_s:g} s"
        ) from None
    except web.RequestPayloadError as error:
        raise BodyRefused(400, f"The request's body cannot be read: {error}") from error
    return body


def end_unless_taken(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """The last answer on its connection, if a body that was announced has not been taken.

    A client that got the answer instead of an invitation may or may not send the body, so that
    what comes next could be either the body or another request.
    """
    if _expectation(request) and not request.content.at_eof():
        response.force_close()


async def _invite(request: web.BaseRequest) -> None:
    expectation = _expectation(request)
    if not expectation:
        return
    if expectation != _CONTINUE:
        raise BodyRefused(417, f"The expectation {expectation[:100]!r} cannot be met")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun


def _expectation(request: web.BaseRequest) -> str:
    """What an HTTP/1.1 client waits for; others do not know of it."""
    if request.version < HttpVersion11:
        return ""
    return request.headers.get("Expect", "").lower()


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BodyRefused(413, f"The request's body is larger than {max_bytes} bytes")
