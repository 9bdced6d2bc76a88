"""Controllers of Kubernetes and of JobSet, for a cluster that has none of its own.

Of Kubernetes' own there are those of Jobs and endpoints, and the garbage collector, which deletes
an object with its owner. JobSet's controller serves its webhooks on loopback.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.backend.cluster import Cluster, public_part
from tests.backend.processes import free_ports, running, until
from tests.k8s.conftest import render_folder
from tests.loopback import make_certificate

Json = dict[str, Any]

PROGRAMS = ("kube-controller-manager", "jobset-controller")

_OF_KUBERNETES = ("job-controller", "endpointslice-controller", "garbage-collector-controller")


@contextmanager
def jobset_controllers(cluster: Cluster, tools: Path, folder: Path) -> Iterator[None]:
    """Runs the controllers that a JobSet needs.

    Args:
        cluster: has the JobSets.
        tools: the folder of the programs.
        folder: where their logs and settings go.
    """
    manager = [str(tools / "kube-controller-manager"), f"--kubeconfig={cluster.kubeconfig}"]
    manager += [f"--controllers={','.join(_OF_KUBERNETES)}", "--leader-elect=false"]
    manager += ["--secure-port=0"]
    webhooks, health = free_ports(2)
    settings = folder / "jobset.json"
    certificate = _certificates(folder / "jobset")
    settings.write_text(json.dumps(_settings(webhooks, health, certificate.parent)))
    controller = [str(tools / "jobset-controller"), f"--kubeconfig={cluster.kubeconfig}"]
    controller += [f"--config={settings}"]
    logs = folder / "kube-controller-manager.log", folder / "jobset-controller.log"
    with running(manager, logs[0]) as first, running(controller, logs[1]) as second:
        until(lambda: _is_ready(f"http://127.0.0.1:{health}/readyz"), 60, second, logs[1])
        registered = _registered(tools / "jobset-webhooks", webhooks, certificate)
        cluster.apply(*registered)
        assert first.poll() is None, logs[0].read_text()
        try:
            yield
        finally:
            for one in registered:
                done = cluster.kubectl("delete", one["kind"], one["metadata"]["name"])
                assert done.returncode == 0, done.stderr


def _settings(webhooks: int, health: int, certificates: Path) -> Json:
    return {
        "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "webhook": {"host": "127.0.0.1", "port": webhooks, "certDir": str(certificates)},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "metrics": {"bindAddress": "0"},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
    }


def _certificates(folder: Path) -> Path:
    """Writes a certificate under the names that the controller looks for."""
    folder.mkdir()
    return public_part(make_certificate(folder / "tls.key"))


def _registered(folder: Path, port: int, certificate: Path) -> list[Json]:
    """The webhooks as JobSet's manifests register them, at a port in place of a service."""
    trusted = base64.b64encode(certificate.read_bytes()).decode()
    found = []
    for one in json.loads(json.dumps(render_folder(folder).resources)):
        if one["kind"].endswith("WebhookConfiguration"):
            for webhook in one["webhooks"]:
                path = webhook["clientConfig"]["service"]["path"]
                url = f"https://127.0.0.1:{port}{path}"
                webhook["clientConfig"] = {"url": url, "caBundle": trusted}
            found.append({**one, "metadata": {"name": f"jobset-{one['metadata']['name']}"}})
    return found


def _is_ready(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
