"""Checks of a Kubeflow installation before the first run, each with its remedy."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components.raster.errors import SkymillError
from pipelines.kubeflow.client import cluster_checks as checks
from pipelines.kubeflow.client.errors import KubeflowError, NotFound
from pipelines.kubeflow.client.finding import FAILED, OK, UNKNOWN, WARNING, DoctorFinding
from pipelines.kubeflow.client.images import image_status
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.cluster.api import KubernetesApi, KubernetesError

_OLDEST = (2, 5)


@dataclass(frozen=True)
class Needs:
    """Requirements of a configuration on the cluster.

    Attributes:
        service_account: account of the steps' pods.
        pipeline_root: root folder of the artifacts; empty for the cluster's own.
        images, claims, secrets: names in the steps' settings.
        pull_secrets: secrets with credentials for the images' registries.
        workers: training runs on several pods, which needs JobSet.
    """

    service_account: str
    pipeline_root: str = ""
    images: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    pull_secrets: tuple[str, ...] = ()
    workers: bool = False


def examine(
    server: KubeflowServer, cluster: KubernetesApi | None, needs: Needs
) -> list[DoctorFinding]:
    """Runs all checks; one that fails does not prevent the others.

    Args:
        server: the API server of Kubeflow Pipelines.
        cluster: the Kubernetes API of its cluster, for the namespace of the runs; None if
            there is no access.
        needs: what the configuration requires.
    """
    found = list(_server(server))
    if cluster is None:
        reason = "there is no access to the Kubernetes API"
        remedy = "Set KUBECONFIG, or run this in a pod with an account that may read the namespace"
        names = ("rights", "account", "pipeline root", "claims", "secrets", "retries")
        found += [DoctorFinding(name, UNKNOWN, reason, remedy) for name in names]
    else:
        multi_user = any(one.check == "version" and "multi-user" in one.detail for one in found)
        found += _guarded("rights", lambda: checks.rights(cluster, multi_user))
        found += _guarded("account", lambda: checks.account(cluster, needs.service_account))
        found += _guarded("pipeline root", lambda: checks.root(cluster, needs.pipeline_root))
        for name in needs.claims:
            found += _guarded("claims", lambda name=name: checks.claim(cluster, name))
        for name in (*needs.secrets, *needs.pull_secrets):
            found += _guarded("secrets", lambda name=name: checks.secret(cluster, name))
        found += _guarded("retries", lambda: checks.retries(cluster))
        if needs.workers:
            found += _guarded("workers", lambda: checks.jobset(cluster))
    found += [_image(image, needs.pull_secrets) for image in needs.images]
    return found


def _guarded(check: str, look: Any) -> list[DoctorFinding]:
    """Runs a check; without the right to read, the state is unknown."""
    try:
        return list(look())
    except KubernetesError as error:
        remedy = "Ask someone who may read the namespace to run this check"
        return [DoctorFinding(check, UNKNOWN, str(error), remedy)]


def _server(server: KubeflowServer) -> Iterator[DoctorFinding]:
    endpoint = server.api.connection.endpoint
    try:
        health = server.api.get("look at the server", "healthz")
    except SkymillError as error:
        yield DoctorFinding(
            "connection", FAILED, str(error), "Correct --endpoint or the credentials"
        )
        return
    yield DoctorFinding("connection", OK, endpoint)
    multi_user = bool(health.get("multi_user"))
    yield _version(server, str(health.get("tag_name") or "unknown"), multi_user)
    namespace = server.api.connection.namespace
    if multi_user and not namespace:
        yield DoctorFinding(
            "namespace", FAILED, "the installation has several users", "Give --namespace"
        )
        return
    try:
        server.newest_runs(1)
        yield _namespace(namespace, multi_user)
    except KubeflowError as error:
        yield DoctorFinding("namespace", FAILED, str(error), "docs/submit.md lists the permissions")


def _namespace(name: str, multi_user: bool) -> DoctorFinding:
    if not name or multi_user:
        return DoctorFinding("namespace", OK, name or "the server's own")
    detail = f"a single-user installation ignores {name}: its runs are in its own"
    remedy = f"Leave out --namespace, unless Kubeflow Pipelines itself is installed in {name}"
    return DoctorFinding("namespace", WARNING, detail, remedy)


def _version(server: KubeflowServer, release: str, multi_user: bool) -> DoctorFinding:
    mlmd = _has_mlmd(server)
    metrics = "with ML Metadata" if mlmd else "without ML Metadata"
    users = "multi-user" if multi_user else "single-user"
    detail = f"release {release}, {metrics}, {users}"
    number = re.match(r"(\d+)\.(\d+)", release)
    if number and (int(number[1]), int(number[2])) < _OLDEST:
        return DoctorFinding("version", FAILED, detail, "Install Kubeflow Pipelines 2.5 or newer")
    if mlmd and not server.api.connection.metadata:
        detail += "; metrics need --metadata"
    return DoctorFinding("version", OK, detail)


def _has_mlmd(server: KubeflowServer) -> bool:
    """Checks for the artifacts of the API, which replaced ML Metadata."""
    try:
        server.api.get("look for artifacts", "artifacts", page_size="1", **server.api.scope())
    except NotFound:
        return True
    except KubeflowError:  # it exists, but may not be listed
        return False
    return False


def _image(image: str, pull_secrets: Sequence[str]) -> DoctorFinding:
    status = image_status(image)
    if status == 200:
        return DoctorFinding("images", OK, f"{image} is public")
    if status == 404:
        return DoctorFinding(
            "images", FAILED, f"{image} does not exist", "Push it, or correct the name"
        )
    if status in (401, 403):
        remedy = (
            f"The kubelet uses {', '.join(pull_secrets)}"
            if pull_secrets
            else "Give kubeflow.image_pull_secrets, unless the nodes have credentials of their own"
        )
        detail = f"{image} is private, or does not exist"
        return DoctorFinding("images", UNKNOWN if pull_secrets else FAILED, detail, remedy)
    reason = f"its registry answered {status}" if status else "its registry cannot be reached"
    remedy = "Try on a node: crictl pull"
    return DoctorFinding("images", UNKNOWN, f"{image}: {reason} from here", remedy)
