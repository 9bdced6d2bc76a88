"""Body of an HTTP request, received within limits of size and time."""

import asyncio
from collections.abc import Callable

from aiohttp import HttpVersion11, web

from components.raster.errors import PortableError

_CONTINUE = "100-continue"


class BodyRefused(PortableError):
    """A refused body: the HTTP status, and the reason."""

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
) -> bytes | bytearray:
    """Receives the whole body, decompressed; answers `Expect: 100-continue`.

    Args:
        request: its headers have arrived; its body may not have.
        max_bytes: larger bodies are refused, before they are sent if the client announces the size.
        timeout_s: for the whole body.
        reach: called with the new size before the received part grows; may raise.

    Raises:
        BodyRefused: it is too large, too late, or does not match the headers.
        ConnectionError: the client has disconnected.
    """
    _check_size(request.content_length or 0, max_bytes)
    body = bytearray()
    try:
        if request.content.is_eof() and not _expectation(request):  # it has arrived whole
            whole = request.content.read_nowait()
            _check_size(len(whole), max_bytes)
            reach(len(whole))
            return whole
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
    """Closes the connection after this answer, if an announced body has not been read.

    A client that got the answer instead of `100 Continue` may or may not send the body, so the next
    bytes could be either the body or another request.
    """
    if not request.content.at_eof() and _expectation(request):
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
    """Returns the Expect header of an HTTP/1.1 request; earlier versions do not define it."""
    if request.version < HttpVersion11:
        return ""
    return request.headers.get("Expect", "").lower()


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BodyRefused(413, f"The request's body is larger than {max_bytes} bytes")
