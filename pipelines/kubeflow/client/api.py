"""Calls of Kubeflow's API with timeouts, pagination and readable errors."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from pipelines.kubeflow.client.connection import (
    Connection,
    DexSessionFile,
    IdentityAwareProxy,
    api_client,
)
from pipelines.kubeflow.client.errors import Unauthenticated, page_error, readable_errors

#: Seconds to connect, and to wait for a response.
_TIMEOUT_S = (10, 60)
_PAGE = 100

EQUALS, NOT_EQUALS, IS_SUBSTRING = "EQUALS", "NOT_EQUALS", "IS_SUBSTRING"


class Api:
    """Wrapper of Kubeflow's own client.

    Attributes:
        connection: the server's address and the credentials.
        client: Kubeflow's client (`kfp.Client`).
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.client = api_client(connection)

    def call(self, what: str, method: Callable[..., Any], *args: Any, **given: Any) -> Any:
        """Calls a method of the client's services.

        Raises:
            KubeflowError: the server refuses or cannot be reached; the message names the attempt
                by `what`.
        """
        api: Any = method.__self__.api_client  # type: ignore[attr-defined]
        return self._authenticated(what, api, method, *args, **given)

    def listed(
        self, what: str, method: Callable[..., Any], part: str, **given: Any
    ) -> Iterator[Any]:
        """Yields the items in `part` of every page of a listing; raises as `call` does."""
        token = ""
        while True:
            page = self.call(what, method, page_token=token, page_size=_PAGE, **given)
            yield from getattr(page, part) or []
            token = page.next_page_token or ""
            if not token:
                return

    def get(self, what: str, path: str, *, api: str = "v2beta1", **query: str) -> dict[str, Any]:
        """Returns the JSON of a GET request, with the fields that the client's release lacks.

        Args:
            what: the attempt, for messages.
            path: below that of the API's version.
            api: the version.
            query: the request's parameters; a server ignores those that it does not know.

        Raises:
            KubeflowError: as `call` does.
        """

        def method(*, _request_timeout: Any) -> Any:
            return transport.call_api(
                f"/apis/{api}/{path}",
                "GET",
                query_params=list(query.items()),
                header_params={"Accept": "application/json"},
                response_type="object",
                auth_settings=["Bearer"],
                _return_http_data_only=True,
                _request_timeout=_request_timeout,
            )

        transport = self.transport
        tree = self._authenticated(what, transport, method)
        if not isinstance(tree, dict):
            raise page_error(what, self.connection.endpoint)
        return tree

    @property
    def transport(self) -> Any:
        """The HTTP client of Kubeflow's client."""
        return _transport(self.client)

    def tree(self, model: Any) -> dict[str, Any]:
        """Converts an object of the client to the JSON that it was read from."""
        found: dict[str, Any] = self.transport.sanitize_for_serialization(model)
        return found

    def scope(self) -> dict[str, str]:
        """Returns the namespace argument of listing calls."""
        return {"namespace": self.connection.namespace} if self.connection.namespace else {}

    def _authenticated(
        self, what: str, api: Any, method: Callable[..., Any], *args: Any, **given: Any
    ) -> Any:
        try:
            return self._once(what, api, method, *args, **given)
        except Unauthenticated:
            if not isinstance(self.connection.credentials, IdentityAwareProxy):
                raise
            # Its tokens expire after an hour, and a run may take longer to follow.
            fresh = _transport(api_client(self.connection)).configuration
            api.configuration.api_key = fresh.api_key
            return self._once(what, api, method, *args, **given)

    def _once(
        self, what: str, api: Any, method: Callable[..., Any], *args: Any, **given: Any
    ) -> Any:
        if isinstance(self.connection.credentials, DexSessionFile):
            api.cookie = self.connection.credentials.cookie()
        with readable_errors(what, self.connection.endpoint):
            answer = method(*args, **given, _request_timeout=_TIMEOUT_S)
        if "json" not in (api.last_response.getheader("content-type") or ""):
            raise page_error(what, self.connection.endpoint)
        return answer


def predicate(key: str, value: str, operation: str = EQUALS) -> str:
    """Returns a listing's filter in the API's format."""
    one = {"operation": operation, "key": key, "stringValue": value}
    return json.dumps({"predicates": [one]})


def _transport(client: Any) -> Any:
    return client.runs.run_service_get_run.__self__.api_client
