"""A watch's state in a ConfigMap, for watchers in a cluster."""

from collections.abc import Callable
from typing import Any

from pipelines.kubeflow.cluster.api import cluster_configuration
from pipelines.watch.state import WatchError
from pipelines.watch.state_store import Document

_CONFLICT, _NOT_FOUND, _TIMEOUT_S = 409, 404, 30.0


class ConfigMapStore:
    """State under a pipeline's name as the key, in an existing ConfigMap.

    The API server refuses a replacement whose resourceVersion is not the newest, so no other lock
    is needed. The store does not create the ConfigMap: a Role cannot allow that for one name.
    """

    def __init__(self, api: Any, namespace: str, name: str, pipeline: str) -> None:
        """Takes the cluster's core API (`kubernetes.client.CoreV1Api`) as `api`."""
        self._api, self._namespace, self._name = api, namespace, name
        self._key = pipeline

    @property
    def place(self) -> str:
        return f"ConfigMap {self._namespace}/{self._name}"

    def read(self) -> Document:
        found = self._called(self._api.read_namespaced_config_map)
        return Document((found.data or {}).get(self._key), found.metadata.resource_version)

    def write(self, text: str, version: str) -> bool:
        from kubernetes.client import ApiException

        # Other pipelines' keys, labels and all else stay unchanged.
        found = self._called(self._api.read_namespaced_config_map)
        if found.metadata.resource_version != version:
            return False
        found.data = {**(found.data or {}), self._key: text}
        try:
            self._called(self._api.replace_namespaced_config_map, found)
        except WatchError as error:
            cause = error.__cause__
            if isinstance(cause, ApiException) and cause.status == _CONFLICT:
                return False
            raise
        return True

    def _called(self, method: Callable[..., Any], *body: Any) -> Any:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return method(self._name, self._namespace, *body, _request_timeout=_TIMEOUT_S)
        except ApiException as error:
            hint = (
                " Make it first: kubectl apply -k k8s/trigger/base."
                if (error.status == _NOT_FOUND)
                else " Its account needs get and update on that one name."
            )
            raise WatchError(f"{self.place}: {error.status} {error.reason}.{hint}") from error
        except HTTPError as error:
            raise WatchError(f"{self.place}: the cluster cannot be reached ({error}).") from error


def cluster_api() -> tuple[Any, str]:
    """Returns the core API of the cluster that this process runs in, or of kubectl's context.

    Returns:
        The API and the default namespace.

    Raises:
        WatchError: there is neither.
    """
    from kubernetes import client, config

    try:
        configuration, namespace = cluster_configuration()
    except config.ConfigException as error:
        raise WatchError(f"no cluster for the state of the watch: {error}") from error
    return client.CoreV1Api(client.ApiClient(configuration)), namespace
