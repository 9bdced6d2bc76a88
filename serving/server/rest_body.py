"""The body of a REST request, read within bounds of size and time."""

import asyncio

from aiohttp import web

from serving.server.config import ServerConfig
from serving.server.errors import Code, ServingError
from serving.server.in_flight import Held


async def read_body(request: web.BaseRequest, held: Held, config: ServerConfig) -> bytearray:
    """The whole body, decompressed.

    Raises:
        ServingError: it is larger than a request may be, or than there is room for now; it does
            not arrive in time, or not in the form that its headers say.
    """
    _check_size(request.content_length or 0, config)
    body = bytearray()
    try:
        async with asyncio.timeout(config.transfer_timeout_s):
            async for chunk in request.content.iter_any():
                _check_size(len(body) + len(chunk), config)
                held.reach(len(body) + len(chunk))
                body += chunk
    except TimeoutError:
        raise ServingError(
            Code.DEADLINE_EXCEEDED,
            f"The request's body did not arrive within {config.transfer_timeout_s:g} s",
            http_status=408,
        ) from None
    except ConnectionError as error:
        raise ServingError(Code.CANCELLED, "The client is gone") from error
    except web.RequestPayloadError as error:
        raise ServingError(
            Code.INVALID_ARGUMENT, f"The request's body cannot be read: {error}"
        ) from error
    return body


def _check_size(size: int, config: ServerConfig) -> None:
    if size > config.max_request_bytes:
        raise ServingError(
            Code.RESOURCE_EXHAUSTED,
            f"The request's body is larger than {config.max_request_bytes} bytes",
            http_status=413,
        )
