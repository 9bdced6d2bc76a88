"""Kubeflow Pipelines that runs already, in the cluster of a context."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backend.cluster import Cluster
from tests.backend.kubeflow.installation import Kubeflow, has_artifacts, is_up
from tests.backend.processes import free_ports, running, until
from tests.k8s.conftest import KUBECTL

_VARIABLES = "SKYMILL_BACKEND_"


@dataclass(frozen=True)
class Place:
    """Facts about an installation that a context does not hold.

    Attributes:
        image: of the steps, which the cluster has or can pull.
        claim: the folder of this machine that pods see as the claim `data`; None if they see none.
        endpoint, metadata: addresses of the API and of the metadata store; empty has them
            forwarded by kubectl.
    """

    image: str
    claim: Path | None
    endpoint: str
    metadata: str


def place_from(environment: Mapping[str, str]) -> Place | None:
    """Returns the installation that the variables of `make backend` name; None without an image."""
    result = {name: environment.get(f"{_VARIABLES}{name}", "") for name in ("IMAGE", "CLAIM")}
    result |= {
        name: environment.get(f"{_VARIABLES}{name}", "") for name in ("ENDPOINT", "METADATA")
    }
    if not result["IMAGE"]:
        return None
    claim = Path(result["CLAIM"]) if result["CLAIM"] else None
    return Place(result["IMAGE"], claim, result["ENDPOINT"], result["METADATA"])


@contextmanager
def installed(cluster: Cluster, place: Place, folder: Path) -> Iterator[Kubeflow]:
    """The installation of a cluster.

    What the tests write into the claim, pods of another user can change.

    Args:
        cluster: has it in the namespace `kubeflow`.
        place: what the cluster does not tell.
        folder: for logs.
    """
    if place.claim and any(place.claim.iterdir()):
        pytest.fail(f"{place.claim} is not empty: models of earlier tests would be in the way")
    with ExitStack() as stack:
        old = os.umask(0)
        stack.callback(os.umask, old)
        endpoint = place.endpoint
        if not endpoint:
            address = stack.enter_context(_forwarded(cluster, folder, "ml-pipeline", 8888))
            endpoint = f"http://{address}"
        until(lambda: is_up(endpoint), 60)
        metadata = place.metadata
        if not metadata and not has_artifacts(endpoint):
            service = ("metadata-grpc-service", 8080)
            metadata = stack.enter_context(_forwarded(cluster, folder, *service))
        yield Kubeflow(endpoint, metadata, cluster, place.claim, place.image, time.time_ns())


@contextmanager
def _forwarded(cluster: Cluster, folder: Path, service: str, port: int) -> Iterator[str]:
    """`HOST:PORT` on this machine of a service of the cluster."""
    [own] = free_ports(1)
    command = [str(KUBECTL), f"--kubeconfig={cluster.kubeconfig}", f"--context={cluster.context}"]
    command += ["port-forward", "--namespace=kubeflow", f"service/{service}", f"{own}:{port}"]
    log = folder / f"{service}.log"
    with running(command, log) as process:
        until(lambda: "Forwarding from" in log.read_text(), 60, process, log)
        yield f"127.0.0.1:{own}"
