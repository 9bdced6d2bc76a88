"""Body of a REST request, within the server's memory."""

from aiohttp import web

from serving.server.config import ServerConfig
from serving.server.errors import Code, ServingError
from serving.server.in_flight import ReservedBytes
from serving.server.receiving import BodyRefused, receive

_CODE_OF_STATUS = {408: Code.DEADLINE_EXCEEDED, 413: Code.RESOURCE_EXHAUSTED}


async def read_body(
    request: web.BaseRequest, held: ReservedBytes, config: ServerConfig
) -> bytes | bytearray:
    """Reads the whole body, decompressed.

    Raises:
        ServingError: it exceeds the request limit or the free memory, does not arrive in time, or
            does not match its headers.
    """
    try:
        return await receive(
            request,
            max_bytes=config.max_request_bytes,
            timeout_s=config.transfer_timeout_s,
            reach=held.reach,
        )
    except BodyRefused as error:
        code = _CODE_OF_STATUS.get(error.status, Code.INVALID_ARGUMENT)
        raise ServingError(code, error.reason, http_status=error.status) from error
    except ConnectionError as error:
        raise ServingError(Code.CANCELLED, "The client has disconnected") from error
