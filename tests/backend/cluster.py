"""A Kubernetes API server: etcd and kube-apiserver on loopback, or the cluster of a context.

On loopback RBAC and the default admission plugins are on, and everything is removed afterwards.
There are no controllers: a test makes their objects itself.
"""

import json
import os
import secrets
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kubernetes import client, config

from pipelines.kubeflow.cluster.api import KubernetesApi
from tests.backend.processes import free_ports, running, until
from tests.k8s.conftest import KUBECTL
from tests.loopback import make_certificate

Json = dict[str, Any]

_ADMIN = "admin"


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes API server, as its administrator sees it.

    Attributes:
        kubeconfig: names the server and the administrator's credentials.
        context: the context in it.
        own: True for a cluster of the tests, without nodes and controllers.
    """

    kubeconfig: Path
    context: str
    own: bool

    def admin(self, namespace: str = "kubeflow") -> KubernetesApi:
        """The API with the administrator's rights."""
        return KubernetesApi(self.client(), namespace)

    def account(self, name: str, namespace: str = "kubeflow") -> KubernetesApi:
        """The API with the rights of a service account, by a token of its own."""
        return KubernetesApi(self.account_client(name, namespace), namespace)

    def account_client(self, name: str, namespace: str = "kubeflow") -> Any:
        """Kubernetes' own client with the credentials of a service account."""
        configuration = client.Configuration()
        configuration.host = self.client().configuration.host
        configuration.ssl_ca_cert = self.client().configuration.ssl_ca_cert
        configuration.api_key["authorization"] = f"Bearer {self.token(name, namespace)}"
        configuration.retries = False
        return client.ApiClient(configuration)

    def token(self, name: str, namespace: str = "kubeflow", audience: str = "") -> str:
        """Returns a token of a service account, valid for an hour; by default for the server."""
        audiences = [audience] if audience else None
        request = {"spec": {"expirationSeconds": 3600, "audiences": audiences}}
        path = self.admin(namespace).path("v1", "serviceaccounts", f"{name}/token")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", **request}
        return str(self.admin(namespace).create(path, body)["status"]["token"])

    def kubectl(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Runs kubectl as the administrator."""
        where = [f"--kubeconfig={self.kubeconfig}", f"--context={self.context}"]
        return subprocess.run(
            [str(KUBECTL), *where, *words], input=given, capture_output=True, text=True, check=False
        )

    def apply(self, *resources: Mapping[str, Any]) -> None:
        """Applies resources, if there are any, and fails on the first that is refused."""
        if not resources:
            return
        listed = {"apiVersion": "v1", "kind": "List", "items": list(resources)}
        done = self.kubectl("apply", "--server-side", "-f", "-", given=json.dumps(listed))
        assert done.returncode == 0, done.stderr

    def apply_files(self, paths: Sequence[Path]) -> None:
        """Applies definitions of resource types, and waits until they are served."""
        names = [f"--filename={path}" for path in paths]
        done = self.kubectl("apply", "--server-side", *names)
        assert done.returncode == 0, done.stderr
        wait = ("wait", "--for=condition=Established", "--timeout=60s")
        done = self.kubectl(*wait, *names)
        assert done.returncode == 0, done.stderr

    def namespace(self, name: str) -> None:
        """Makes a namespace with the account that pods get in it."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        if self.own:
            metadata = {"name": "default", "namespace": name}
            self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
            certificate = Path(self.client().configuration.ssl_ca_cert).read_text()
            root = {"metadata": {"name": "kube-root-ca.crt", "namespace": name}}
            kind = {"apiVersion": "v1", "kind": "ConfigMap"}
            self.apply({**kind, **root, "data": {"ca.crt": certificate}})

    def client(self) -> Any:
        """Kubernetes' own client with the administrator's credentials."""
        return config.new_client_from_config(str(self.kubeconfig), self.context)


def cluster_of_context(context: str) -> Cluster:
    """The cluster of a context of kubectl's configuration."""
    path = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    return Cluster(Path(path), context, own=False)


def prepare(cluster: Cluster, tools: Path) -> None:
    """Makes the namespaces `kubeflow` and `skymill`, and the resource types of Argo and JobSet."""
    for name in ("kubeflow", "skymill"):
        cluster.namespace(name)
    cluster.apply_files(sorted((tools / "crds").glob("*.yaml")))


@contextmanager
def control_plane(tools: Path, folder: Path) -> Iterator[Cluster]:
    """Runs etcd and kube-apiserver of a folder of programs on loopback."""
    client_port, peer_port, port = free_ports(3)
    store = f"http://127.0.0.1:{client_port}"
    peer = f"http://127.0.0.1:{peer_port}"
    etcd = [str(tools / "etcd"), f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync"]
    etcd += [f"--listen-client-urls={store}", f"--advertise-client-urls={store}"]
    etcd += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
    etcd += [f"--initial-cluster=default={peer}"]
    certificate, token = make_certificate(folder / "server.pem"), secrets.token_hex()
    url = f"https://127.0.0.1:{port}"
    server = [str(tools / "kube-apiserver"), f"--etcd-servers={store}", f"--secure-port={port}"]
    server += _identity(folder, certificate, token)
    server += ["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]
    server += ["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16"]
    server += ["--authorization-mode=RBAC", "--anonymous-auth=false", "--allow-privileged=true"]
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(_kubeconfig(url, str(public_part(certificate)), _ADMIN, token))
    logs = folder / "etcd.log", folder / "kube-apiserver.log"
    with running(etcd, logs[0]) as below, running(server, logs[1]) as above:
        until(lambda: _is_ready(url, certificate, token), 180, above, logs[1])
        assert below.poll() is None, logs[0].read_text()
        yield Cluster(kubeconfig, "loopback", own=True)


def _identity(folder: Path, certificate: Path, token: str) -> list[str]:
    """Options for the server's certificate, the accounts' tokens and the administrator."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    signing, tokens = folder / "accounts.key", folder / "tokens.csv"
    signing.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    tokens.write_text(f'{token},{_ADMIN},{_ADMIN},"system:masters"\n')
    return [
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={certificate}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={signing}",
        f"--service-account-signing-key-file={signing}",
        f"--token-auth-file={tokens}",
    ]


def _kubeconfig(url: str, certificate: str, user: str, token: str) -> str:
    server = {"server": url, "certificate-authority": certificate}
    context = {"cluster": "loopback", "user": user, "namespace": "kubeflow"}
    tree = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "loopback", "cluster": server}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "loopback", "context": context}],
        "current-context": "loopback",
    }
    return json.dumps(tree)


def public_part(certificate: Path) -> Path:
    """Writes the certificate of a file that also holds its key to another file."""
    text = certificate.read_text()
    path = certificate.with_suffix(".crt")
    path.write_text(text[: text.index("-----BEGIN PRIVATE KEY")])
    return path


def _is_ready(url: str, certificate: Path, token: str) -> bool:
    trusted = ssl.create_default_context(cafile=str(certificate))
    asked = Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})
    try:
        with urlopen(asked, context=trusted, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
