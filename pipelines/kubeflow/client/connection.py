"""Connection to a Kubeflow Pipelines server: its address, the credentials and the client.

Secrets come from the environment or a file, never from a configuration or a flag.
"""

import ipaddress
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from components.raster.errors import ConfigError

#: Path in a pod of the projected token that Kubeflow's documentation describes.
IN_CLUSTER_TOKEN = "/var/run/secrets/kubeflow/pipelines/token"
VARIABLES = "SKYMILL_KFP_"
_ADDRESS = re.compile(r"[^/]+:[0-9]+")
#: Authentication methods.
_WAYS = ("token", "token_file", "cookie", "cookie_file", "iap")


@dataclass(frozen=True)
class NoCredentials:
    """No credentials, for a single-user installation behind a port-forward."""


@dataclass(frozen=True)
class Bearer:
    """A literal token."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class TokenFile:
    """A token in a file, read before each request, since the kubelet renews it in a cluster."""

    path: str = IN_CLUSTER_TOKEN


@dataclass(frozen=True)
class DexSession:
    """The cookie of a Dex session, as `name=value`."""

    cookie: str = field(repr=False)


@dataclass(frozen=True)
class DexSessionFile:
    """The cookie of a Dex session in a file, read before each request: a session may be renewed."""

    path: str

    def cookie(self) -> str:
        """Returns the current cookie; raises ConfigError if it cannot be read."""
        return _read(self.path, "session")


@dataclass(frozen=True)
class IdentityAwareProxy:
    """Google's IAP, by its client id; the other client is for a user at a desktop."""

    client_id: str
    other_client_id: str | None = None
    other_client_secret: str | None = field(default=None, repr=False)


Credentials = NoCredentials | Bearer | TokenFile | DexSession | DexSessionFile | IdentityAwareProxy


@dataclass(frozen=True)
class Connection:
    """A server and the credentials for it.

    Attributes:
        endpoint: the server's address, http:// or https://.
        namespace: the runs' namespace in a multi-user installation; else empty.
        credentials: the authentication method with its secret.
        ca_file: certificates to trust instead of the public ones.
        plain_http: sends credentials over http to hosts outside of the cluster and this machine.
        metadata: `host:port` of the metadata store (gRPC), for a run's metrics; empty if unknown.
    """

    endpoint: str
    namespace: str = ""
    credentials: Credentials = NoCredentials()
    ca_file: str | None = None
    plain_http: bool = False
    metadata: str = ""

    def __post_init__(self) -> None:
        url = urlsplit(self.endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ConfigError(
                f"{self.endpoint!r} is not an address of a server: give http://HOST:PORT or "
                "https://HOST"
            )
        if self.metadata and not _ADDRESS.fullmatch(self.metadata):
            raise ConfigError(
                f"{self.metadata!r} is not an address of a metadata store: give HOST:PORT, without "
                "http://"
            )
        secret = not isinstance(self.credentials, NoCredentials)
        if secret and url.scheme == "http" and not self.plain_http and not _is_near(url.hostname):
            raise ConfigError(
                f"{self.endpoint}: a token or session would travel in the clear. Use https://, or "
                "insist with --plain-http"
            )


def connection_from(environment: Mapping[str, str], **given: Any) -> Connection:
    """Returns the connection that the environment describes, with given values on top.

    Variables: SKYMILL_KFP_ENDPOINT, _NAMESPACE, _METADATA, _CA; and one authentication method:
    _TOKEN, _TOKEN_FILE, _COOKIE, _COOKIE_FILE or _IAP_CLIENT_ID (with _IAP_OTHER_CLIENT_ID and
    _IAP_OTHER_CLIENT_SECRET). Without any, a pod with Kubeflow's projected token shows that
    only to servers in its cluster.

    Args:
        environment: the process's variables, read by its entry point.
        given: `endpoint`, `namespace`, `metadata`, `ca_file`, `token`, `token_file`, `cookie`,
            `cookie_file` or `plain_http`; None means not given.

    Raises:
        ConfigError: there is no endpoint, or more than one authentication method.
    """
    variables = {
        "endpoint": "ENDPOINT",
        "namespace": "NAMESPACE",
        "metadata": "METADATA",
        "ca_file": "CA",
        "token": "TOKEN",
        "token_file": "TOKEN_FILE",
        "cookie": "COOKIE",
        "cookie_file": "COOKIE_FILE",
        "iap": "IAP_CLIENT_ID",
    }
    values = {key: environment.get(VARIABLES + name) or None for key, name in variables.items()}
    given = {key: value for key, value in given.items() if value is not None}
    if set(given) & set(_WAYS):
        values |= dict.fromkeys(_WAYS)
    values |= given
    in_cluster = os.path.exists(IN_CLUSTER_TOKEN)
    endpoint = values["endpoint"] or _cluster_endpoint(in_cluster)
    if not endpoint:
        raise ConfigError(
            f"no server of Kubeflow Pipelines: give --endpoint or {VARIABLES}ENDPOINT, for "
            "instance http://127.0.0.1:8888 behind\n"
            "  kubectl -n kubeflow port-forward service/ml-pipeline 8888:8888"
        )
    return Connection(
        endpoint=_without_page(str(endpoint)),
        namespace=str(values["namespace"] or ""),
        credentials=_credentials(values, environment, in_cluster and _is_near(_host(endpoint))),
        ca_file=values["ca_file"],
        plain_http=bool(values.get("plain_http")),
        metadata=str(values["metadata"] or ""),
    )


def api_client(connection: Connection) -> Any:
    """Builds Kubeflow's own client (`kfp.Client`) for a connection, without a request.

    Raises:
        ConfigError: the token or the session cannot be read or exchanged.
    """
    import kfp
    from kfp_server_api import V2beta1GetHealthzResponse

    class Client(kfp.Client):
        """Client that skips its five requests for the server's multi-user mode."""

        def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:
            return V2beta1GetHealthzResponse(multi_user=False)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Client(
                host=connection.endpoint,
                ssl_ca_cert=connection.ca_file,
                **_login(connection.credentials),
            )
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(
                f"cannot log in at {connection.endpoint}: {error or type(error).__name__}"
            ) from error


def _login(credentials: Credentials) -> dict[str, Any]:
    """Returns the arguments of Kubeflow's client; an empty cookie suppresses a stored one."""
    if isinstance(credentials, Bearer):
        return {"existing_token": credentials.token, "cookies": ""}
    if isinstance(credentials, TokenFile):
        from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials

        _read(credentials.path, "token")
        return {
            "credentials": ServiceAccountTokenVolumeCredentials(credentials.path),
            "cookies": "",
        }
    if isinstance(credentials, DexSession):
        return {"cookies": credentials.cookie}
    if isinstance(credentials, DexSessionFile):
        return {"cookies": credentials.cookie()}
    if isinstance(credentials, IdentityAwareProxy):
        return {
            "client_id": credentials.client_id,
            "other_client_id": credentials.other_client_id,
            "other_client_secret": credentials.other_client_secret,
            "cookies": "",
        }
    return {"cookies": ""}


def _credentials(
    values: Mapping[str, Any], environment: Mapping[str, str], in_its_cluster: bool
) -> Credentials:
    ways = [key for key in _WAYS if values[key]]
    if len(ways) > 1:
        raise ConfigError(f"{len(ways)} credentials are given ({', '.join(ways)}): choose one")
    way = ways[0] if ways else ""
    if way == "token":
        return Bearer(values["token"])
    if way == "token_file":
        return TokenFile(values["token_file"])
    if way == "cookie":
        return DexSession(values["cookie"])
    if way == "cookie_file":
        return DexSessionFile(values["cookie_file"])
    if way == "iap":
        return IdentityAwareProxy(
            values["iap"],
            environment.get(f"{VARIABLES}IAP_OTHER_CLIENT_ID"),
            environment.get(f"{VARIABLES}IAP_OTHER_CLIENT_SECRET"),
        )
    return TokenFile() if in_its_cluster else NoCredentials()


def _cluster_endpoint(in_cluster: bool) -> str:
    return "http://ml-pipeline.kubeflow.svc.cluster.local:8888" if in_cluster else ""


def _read(path: str, what: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read().strip()
    except OSError as error:
        raise ConfigError(f"{path}: the {what} cannot be read ({error.strerror})") from error
    if not text:
        raise ConfigError(f"{path}: the file of the {what} is empty")
    return text


def _without_page(endpoint: str) -> str:
    """Returns an address without the part that Kubeflow's pages add, such as `/#/runs`."""
    return endpoint.partition("#")[0].partition("?")[0].rstrip("/")


def _host(endpoint: str) -> str:
    return urlsplit(endpoint).hostname or ""


def _is_near(host: str) -> bool:
    """Checks whether a host is this machine or a service by its name in the cluster."""
    if host == "localhost" or host.endswith((".svc", ".svc.cluster.local")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
