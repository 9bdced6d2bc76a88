"""Requests to the Kubernetes API with timeouts and readable errors; objects are plain JSON."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from components.raster.errors import ConfigError, SkymillError
from pipelines.kubeflow.contract.package_format import Json

_NOT_FOUND = 404
_TIMEOUT_S = (10, 60)


class KubernetesError(SkymillError):
    """The Kubernetes API refused a request, or could not be reached.

    Attributes:
        status: the HTTP status; 0 if there was no response.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def transient(self) -> bool:
        """True if the same request may succeed later."""
        return self.status in (0, 429) or self.status >= 500


class KubernetesApi:
    """One API server and one namespace.

    Attributes:
        namespace: the namespace of the objects.
    """

    def __init__(self, client: Any, namespace: str) -> None:
        """Takes Kubernetes' own client (`kubernetes.client.ApiClient`)."""
        self._client = client
        self.namespace = namespace

    def within(self, namespace: str) -> "KubernetesApi":
        """Returns the same API server with another namespace."""
        return KubernetesApi(self._client, namespace)

    def path(self, group: str, resource: str, name: str = "") -> str:
        """Returns the path of a resource of the namespace; `group` is as in `apiVersion`."""
        root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
        return f"{root}/namespaces/{self.namespace}/{resource}" + (f"/{name}" if name else "")

    def find(self, path: str, **query: str) -> Json | None:
        """Returns an object or list, or None if there is none at that path."""
        try:
            return self._call("GET", path, query)
        except KubernetesError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """Creates an object and returns it."""
        return self._call("POST", path, {}, body)

    def delete(self, path: str) -> bool:
        """Deletes an object with all that it owns; False if it was not there."""
        try:
            self._call("DELETE", path, {"propagationPolicy": "Foreground"})
        except KubernetesError as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    def log_lines(self, pod: str) -> Iterator[str]:
        """Yields the lines of a pod's log as they appear, until its container ends."""
        path = f"{self.path('v1', 'pods', pod)}/log"
        answer = self._send("GET", path, {"follow": "true"}, None, (10, None))
        rest = b""
        for chunk in answer.stream(4096, decode_content=True):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)
        if rest:
            yield rest.decode("utf-8", "replace")

    def _call(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Json:
        answer = self._send(method, path, query, body, _TIMEOUT_S)
        found: Json = json.loads(answer.data)
        return found

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, timeout: Any
    ) -> Any:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return self._client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": "application/json, */*"},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=timeout,
            )
        except ApiException as error:
            raise KubernetesError(
                f"the Kubernetes API answered {error.status} to {method} {path}: {_message(error)}",
                int(error.status or 0),
            ) from error
        except HTTPError as error:
            raise KubernetesError(
                f"the Kubernetes API cannot be reached for {method} {path}: {error}"
            ) from error


def connect_cluster(namespace: str = "") -> KubernetesApi:
    """Returns the API of the cluster that this process runs in, or of kubectl's current context.

    Args:
        namespace: namespace of the objects; by default the process's own or the context's.

    Raises:
        ConfigError: there is neither.
    """
    from kubernetes import client, config

    try:
        configuration, own = cluster_configuration()
    except config.ConfigException as error:
        raise ConfigError(f"no Kubernetes cluster is configured: {error}") from error
    configuration.retries = False
    return KubernetesApi(client.ApiClient(configuration), namespace or own)


def cluster_configuration() -> tuple[Any, str]:
    """Finds the cluster that this process runs in, else that of kubectl's current context.

    Returns:
        The client's configuration (`kubernetes.client.Configuration`), and the namespace of the
        process or of the context.

    Raises:
        kubernetes.config.ConfigException: there is neither.
    """
    from kubernetes import client, config
    from kubernetes.config.incluster_config import SERVICE_TOKEN_FILENAME

    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
        with open(SERVICE_TOKEN_FILENAME.replace("token", "namespace"), encoding="ascii") as file:
            return configuration, file.read().strip()
    except (config.ConfigException, OSError):
        pass
    try:
        config.load_kube_config(client_configuration=configuration)
        _, active = config.list_kube_config_contexts()
    except OSError as error:
        raise config.ConfigException(str(error)) from error
    return configuration, active["context"].get("namespace", "default")


def _message(error: Any) -> str:
    try:
        tree = json.loads(error.body)
    except (TypeError, ValueError):
        return str(error.reason)
    return str(tree.get("message") or error.reason) if isinstance(tree, dict) else str(tree)
