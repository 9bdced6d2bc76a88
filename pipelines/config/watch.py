"""Configuration of `skymill watch`: its timing, target, endpoint and state store."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.raster.frozen import Frozen
from components.raster.location import Location

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class RetryConfig(Frozen):
    """Waits between attempts to start a run: each longer than the one before, up to a limit."""

    first_s: float = Field(default=30.0, gt=0, description="wait before the second attempt")
    factor: float = Field(default=2.0, ge=1, description="factor from one wait to the next")
    max_s: float = Field(default=3600.0, gt=0, description="longest wait")


class SqliteState(Frozen):
    """State in a file on a disk of this machine."""

    kind: Literal["sqlite"] = "sqlite"
    path: Location | None = Field(
        default=None, description="path of the file; default: <workspace>/watch.sqlite"
    )


class ConfigMapState(Frozen):
    """State in an existing ConfigMap (`k8s/trigger`)."""

    kind: Literal["configmap"] = "configmap"
    name: str = Field(
        default="skymill-watch",
        pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        description="The ConfigMap's name.",
    )
    namespace: str | None = Field(
        default=None,
        description="namespace of the ConfigMap; default: the pod's own, or that of kubectl's "
        "current context",
    )


class ObjectState(Frozen):
    """State in an object in a bucket, written only if nobody else has changed it."""

    kind: Literal["object"] = "object"
    uri: str = Field(
        pattern=r"^(s3|gs|az)://[^/]+/.+", description="The object, s3://, gs:// or az://."
    )


StateConfig = Annotated[SqliteState | ConfigMapState | ObjectState, Field(discriminator="kind")]


class EndpointConfig(Frozen):
    """HTTP endpoint: events that trigger a look (POST /events), /healthz, /readyz and /metrics."""

    host: str = Field(
        default="127.0.0.1",
        description="address to listen on; beyond loopback, events need a secret",
    )
    port: int = Field(
        default=8090, ge=0, le=65535, description="port to listen on; 0: any free port"
    )
    check: Literal["bearer", "hmac"] = Field(
        default="bearer",
        description="how an event proves the secret: in `Authorization: Bearer`, or by the "
        "SHA-256 HMAC of its body in `X-Hub-Signature-256`",
    )
    secret_file: Location | None = Field(default=None, description="file that contains the secret")
    secret_variable: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable that contains the secret",
    )
    max_bytes: int = Field(
        default=1 << 20, ge=1, le=64 << 20, description="largest size of an event"
    )

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if self.secret_file and self.secret_variable:
            raise ValueError("name secret_file or secret_variable, not both")
        if self.host not in LOOPBACK and not (self.secret_file or self.secret_variable):
            raise ValueError(
                f"host {self.host} is not loopback, so events need a secret: name secret_file or "
                "secret_variable"
            )
        return self


class WatchConfig(Frozen):
    """Settings with which `skymill watch` waits for new data and starts runs."""

    target: Literal["local", "kubeflow"] = Field(
        default="local", description="where runs are started"
    )
    package: Location | None = Field(
        default=None,
        description="for kubeflow: a compiled package; default: this configuration, compiled "
        "whenever a run is started",
    )
    service_account: str | None = Field(
        default=None,
        pattern=r"^([a-z0-9]([-.a-z0-9]*[a-z0-9])?)?$",
        description="for kubeflow: service account of the steps' pods; default: skymill-steps; "
        "empty: the cluster's own",
    )
    poll_s: float = Field(default=300.0, gt=0, description="seconds between looks at the source")
    settle_s: float = Field(
        default=120.0,
        ge=0,
        description="seconds without any change before data count as complete",
    )
    marker: str | None = Field(
        default=None,
        pattern=r"^[^/]+$",
        description="file in the source's folder, such as _SUCCESS, that is written after the "
        "data; nothing is started while it is missing or older than the data",
    )
    lease_s: float = Field(
        default=600.0,
        ge=1,
        description="seconds that one watcher has to start a run before another may",
    )
    run_poll_s: float = Field(
        default=30.0, gt=0, description="seconds between checks whether a run has ended"
    )
    retry: RetryConfig = RetryConfig()
    state: StateConfig = SqliteState()
    endpoint: EndpointConfig | None = None
