"""Persistent HTTP connections for several threads: limited in number, with timeouts and TLS."""

import ipaddress
import ssl
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import (
    BaseHTTPResponse,
    HTTPConnectionPool,
    HTTPSConnectionPool,
    PoolManager,
    ProxyManager,
)
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    EmptyPoolError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    TimeoutError,
)

#: Most connections to one server; a further thread waits until one is free.
MAX_CONNECTIONS = 32


class _ConnectionEnded(HTTPException):
    """The server closed a persistent connection while a request was on its way."""


class _Connection(HTTPConnection):
    """Connection that distinguishes its own expiry from a failure of the server."""

    _answers = 0

    def getresponse(self) -> Any:
        kept = self._answers > 0  # closing resets it
        try:
            response = super().getresponse()
        except (ConnectionError, HTTPException) as error:
            if kept:
                raise _ConnectionEnded(str(error)) from error
            raise
        self._answers += 1
        return response

    def close(self) -> None:
        super().close()
        self._answers = 0


class _TlsConnection(_Connection, HTTPSConnection):
    """Like `_Connection`, over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def open_pool(address: str, max_connections: int = MAX_CONNECTIONS) -> PoolManager:
    """Returns the connections to one server; none is opened yet.

    Certificates are checked against the system's authorities, or those of `SSL_CERT_FILE`. The
    proxy is that of the environment (`HTTPS_PROXY`, `NO_PROXY`), as for gRPC; never for this
    machine.
    """
    settings: dict[str, Any] = {
        "num_pools": 1,
        "maxsize": max_connections,
        "block": True,
        "retries": False,
        "ssl_context": ssl.create_default_context(),
    }
    proxy = _proxy_of(address)
    pool = ProxyManager(proxy, **settings) if proxy else PoolManager(**settings)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return pool


def request(
    pool: PoolManager,
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    timeout_s: float,
) -> BaseHTTPResponse:
    """Sends an idempotent request; repeats it if a persistent connection turns out to be closed.

    That does not mean that the server is down. A failure on a new connection is raised at once.

    Raises:
        urllib3.exceptions.HTTPError: there was no answer.
    """
    while True:
        try:
            return pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=timeout_s,
                pool_timeout=timeout_s,
                redirect=False,
            )
        except ProtocolError as error:
            if not isinstance(error.args[-1], _ConnectionEnded):
                raise


def is_timeout(error: HTTPError) -> bool:
    """Checks whether waiting for an answer or for a free connection timed out."""
    refused = isinstance(error, NewConnectionError)  # for the library a timeout too
    return isinstance(error, TimeoutError | EmptyPoolError) and not refused


def root_cause(error: BaseException) -> BaseException:
    """Returns the system's own error below those of the library."""
    while True:
        inner = error.__cause__ or (error.args[-1] if error.args else None)
        if not isinstance(inner, Exception):
            return error
        error = inner


def _proxy_of(address: str) -> str | None:
    parts = urlsplit(address)
    host = parts.hostname or ""
    if _is_this_machine(host) or proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
