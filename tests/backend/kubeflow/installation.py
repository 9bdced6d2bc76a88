"""Kubeflow Pipelines on loopback: its own servers and steps, all as pods of one node.

Its own programs are API server, persistence agent, controller of schedules, driver and launcher.
Around them are MariaDB, Argo's controller and executor, the bucket of tests/stores/s3.py, and for
a release with ML Metadata the gRPC service of `metadata_store`.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.backend.argo import DEFAULT, with_default, workflow_controller
from tests.backend.cluster import Cluster
from tests.backend.kubeflow.database import database
from tests.backend.kubeflow.metadata_store import metadata_service
from tests.backend.kubelet import node
from tests.backend.network import no_network, pod_network
from tests.backend.processes import until
from tests.kubeflow.land_cover import IMAGE
from tests.loopback import http_server
from tests.stores.s3 import Bucket, S3Handler

Json = dict[str, Any]

PROGRAMS = ("apiserver", "persistence_agent", "controller", "driver", "launcher-v2")
BUCKET = "mlpipeline"
#: The service of the bucket.
STORE = "seaweedfs"

LOGS = {
    "archiveLogs": True,
    "s3": {
        "endpoint": f"{STORE}.kubeflow:9000",
        "bucket": BUCKET,
        "region": "us-east-1",
        "keyFormat": "private-artifacts/{{workflow.namespace}}/{{workflow.name}}/"
        "{{workflow.creationTimestamp.Y}}/{{workflow.creationTimestamp.m}}/"
        "{{workflow.creationTimestamp.d}}/{{pod.name}}",
        "insecure": True,
        "accessKeySecret": {"name": "mlpipeline-minio-artifact", "key": "accesskey"},
        "secretKeySecret": {"name": "mlpipeline-minio-artifact", "key": "secretkey"},
    },
}
_HOUR = ("secondsAfterCompletion", "secondsAfterSuccess", "secondsAfterFailure")
# Argo's controller in an installation of 2.17.0; its executor runs from the node's path.
SETTINGS = with_default(DEFAULT)
SETTINGS["workflowDefaults"]["spec"]["ttlStrategy"] = dict.fromkeys(_HOUR, 3600)
SETTINGS["artifactRepository"] = LOGS

_TOKENS = "/var/run/secrets/kubeflow/tokens"
_SECRET = "mlpipeline-minio-artifact"
_ACCOUNT = "ml-pipeline"
# Names and ports that Kubeflow's programs have compiled in.
_HOSTS = (
    "ml-pipeline",
    "ml-pipeline.kubeflow.svc.cluster.local",
    "metadata-grpc-service.kubeflow.svc.cluster.local",
    f"{STORE}.kubeflow",
)
_API, _METADATA, _BUCKET = 8888, 8080, 9000
_FLAGS = ("--logtostderr=true", "--namespace=kubeflow")
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Kubeflow:
    """An installation of Kubeflow Pipelines.

    Attributes:
        endpoint: of its API.
        metadata: `HOST:PORT` of its metadata store; empty if the release has none.
        cluster: where it is.
        claim: the folder of this machine that pods see as the claim `data`; None if they see none.
        image: of the steps of packages.
        seed: of the images; another one for an installation that may have run these tests before.
    """

    endpoint: str
    metadata: str
    cluster: Cluster
    claim: Path | None
    image: str
    seed: int = 5

    @property
    def data(self) -> Path:
        """The folder of the claim `data`; a test that needs it is skipped without one."""
        if self.claim is None:
            pytest.skip("needs CLAIM, the folder that the claim `data` of the cluster shows")
        return self.claim


@contextmanager
def kubeflow(
    cluster: Cluster, tools: Path, programs: Path, repository: Path, folder: Path
) -> Iterator[Kubeflow]:
    """Runs Kubeflow Pipelines in the namespace `kubeflow`.

    Args:
        cluster: an API server of Kubernetes.
        tools: the folder of Argo's programs.
        programs: the folder of `PROGRAMS`.
        repository: the folder of Skymill, which every pod sees.
        folder: for data and logs.
    """
    bucket = Bucket()

    class Handler(S3Handler):
        held, bucket_name = bucket, BUCKET

        def _body(self) -> bytes:
            data = super()._body()
            chunked = self.headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
            return _joined(data) if chunked else data

    seen = [repository, Path(sys.prefix), Path(sys.prefix).resolve(), Path(sys.base_prefix)]
    paths = [programs, tools, Path(sys.prefix) / "bin"]
    variables = {"PYTHONPATH": str(repository), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with ExitStack() as stack:
        stack.enter_context(http_server(Handler, port=_BUCKET))
        port = stack.enter_context(database(folder))
        network = None if no_network() else stack.enter_context(pod_network(folder / "names"))
        kubelet = stack.enter_context(
            node(cluster, folder, paths, seen, _HOSTS, variables, network)
        )
        cluster.apply(*_installation(port))
        cluster.apply_files([Path(__file__).with_name("scheduled_workflow.yaml")])
        stack.enter_context(workflow_controller(cluster, tools, folder, SETTINGS))
        cluster.apply(
            server_pod("ml-pipeline", ["apiserver", "--config=/config", "-logtostderr=true"])
        )
        endpoint = f"http://127.0.0.1:{_API}"
        log = kubelet.log("ml-pipeline", "main")
        until(lambda: is_up(endpoint), 300, log=log)
        # Releases without ML Metadata have artifacts in their own API.
        native = has_artifacts(endpoint)
        schedules = ["controller", *_FLAGS, "--metricsPort=9090"]
        cluster.apply(persistence_agent(), server_pod("scheduledworkflow", schedules))
        metadata = "" if native else f"127.0.0.1:{_METADATA}"
        if metadata:
            stack.enter_context(metadata_service(_METADATA, folder / "metadata.sqlite"))
        bind(cluster, "data")
        expose(cluster, STORE)
        yield Kubeflow(endpoint, metadata, cluster, kubelet.claims / "data", IMAGE)


def bind(cluster: Cluster, name: str) -> None:
    """A claim as the controller of volumes leaves it."""
    metadata = {"name": name, "namespace": "kubeflow"}
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    cluster.apply({**kind, "metadata": metadata, "spec": spec})
    words = ("--namespace=kubeflow", "pvc", name, "--subresource=status", "--type=merge", "--patch")
    done = cluster.kubectl("patch", *words, '{"status": {"phase": "Bound"}}')
    assert done.returncode == 0, done.stderr


def expose(cluster: Cluster, name: str) -> None:
    """The addresses of a service as the controller of endpoints writes them."""
    metadata = {"name": name, "namespace": "kubeflow"}
    subsets = [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 9000}]}]
    kind = {"apiVersion": "v1", "kind": "Endpoints"}
    cluster.apply({**kind, "metadata": metadata, "subsets": subsets})


def _installation(database_port: int) -> list[Json]:
    """Returns the objects that the pods of the servers refer to."""
    settings = {
        "DBConfig": {
            "MySQLConfig": {
                "User": "root",
                "Password": "",
                "Host": "127.0.0.1",
                "Port": str(database_port),
                "DBName": "mlpipeline",
                "GroupConcatMaxLen": "4194304",
            },
            "ConMaxLifeTime": "120s",
        },
        "DBDriverName": "mysql",
        "ObjectStoreConfig": {
            "AccessKey": "minio",
            "SecretAccessKey": "minio123",
            "BucketName": BUCKET,
            "PipelinePath": "pipelines",
            "Host": f"{STORE}.kubeflow",
            "Port": str(_BUCKET),
            "Secure": "false",
        },
        "InitConnectionTimeout": "3m",
        "DEFAULTPIPELINERUNNERSERVICEACCOUNT": "skymill-steps",
        "CacheEnabled": "true",
        "ARCHIVE_CONFIG_LOG_FILE_NAME": "main.log",
        "ARCHIVE_CONFIG_LOG_PATH_PREFIX": "/artifacts",
        "CRON_SCHEDULE_TIMEZONE": "UTC",
        "ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_HOST": "127.0.0.1",
        "ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_PORT": "8889",
    }
    core = {"apiVersion": "v1"}
    rights = "rbac.authorization.k8s.io"
    metadata = {"name": _ACCOUNT, "namespace": "kubeflow"}
    return [
        {**core, "kind": "ServiceAccount", "metadata": metadata},
        {
            "apiVersion": f"{rights}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rights, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT}],
        },
        {
            **core,
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"config.json": json.dumps(settings)},
        },
        {
            **core,
            "kind": "ConfigMap",
            "metadata": {"name": "metadata-grpc-configmap", "namespace": "kubeflow"},
            "data": {
                "METADATA_GRPC_SERVICE_HOST": _HOSTS[2],
                "METADATA_GRPC_SERVICE_PORT": str(_METADATA),
            },
        },
        {
            **core,
            "kind": "Secret",
            "metadata": {"name": _SECRET, "namespace": "kubeflow"},
            "stringData": {"accesskey": "minio", "secretkey": "minio123"},
        },
    ]


def api_server() -> Json:
    """The API server."""
    return server_pod("ml-pipeline", ["apiserver", "--config=/config", "-logtostderr=true"])


def persistence_agent() -> Json:
    """The server that reports workflows to the API server."""
    return server_pod("persistenceagent", ["persistence_agent", *_FLAGS])


def server_pod(name: str, command: list[str], variables: Mapping[str, str] = _NONE) -> Json:
    """A server of Kubeflow's, with its settings and the tokens that it looks for."""
    audience = "pipelines.kubeflow.org"
    tokens = [
        {"serviceAccountToken": {"path": f"{one}-sa-token", "audience": audience}}
        for one in ("persistenceagent", "scheduledworkflow")
    ]
    container = {
        "name": "main",
        "image": name,
        "command": command,
        "env": [
            {"name": "POD_NAMESPACE", "value": "kubeflow"},
            {"name": "CLUSTER_DOMAIN", "value": "cluster.local"},
            *({"name": name, "value": value} for name, value in variables.items()),
        ],
        "volumeMounts": [
            {"name": "config", "mountPath": "/config"},
            {"name": "tokens", "mountPath": _TOKENS},
        ],
    }
    volumes = [
        {"name": "config", "configMap": {"name": _ACCOUNT}},
        {"name": "tokens", "projected": {"sources": tokens}},
    ]
    spec = {"serviceAccountName": _ACCOUNT, "containers": [container], "volumes": volumes}
    metadata = {"name": name, "namespace": "kubeflow"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _joined(data: bytes) -> bytes:
    """The content of a body in signed chunks, as the client of Argo's executor sends it."""
    found = bytearray()
    while data:
        head, _, data = data.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if not size:
            break
        found += data[:size]
        data = data[size + 2 :]
    return bytes(found)


def is_up(endpoint: str) -> bool:
    """Checks whether an API server answers."""
    return _answers(f"{endpoint}/apis/v2beta1/healthz")


def has_artifacts(endpoint: str) -> bool:
    """Checks for an API server's own artifacts, which releases without ML Metadata have."""
    return _answers(f"{endpoint}/apis/v2beta1/artifacts")


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, HTTPException):
        return False
