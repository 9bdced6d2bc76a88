"""Checks of a Kubeflow installation before the first run, each with its remedy."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from components.raster.errors import SkymillError
from pipelines.kubeflow.client.errors import KubeflowError, NotFound
from pipelines.kubeflow.client.images import image_status
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.cluster.api import KubernetesApi, KubernetesError
from pipelines.kubeflow.cluster.jobset import API as JOBSET

Json = dict[str, Any]

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"

_OLDEST = (2, 5)
#: Rights on `pipelines.kubeflow.org` that submit, follow, runs and schedule need.
_RIGHTS = {
    "pipelines": ("create", "get", "list"),
    "experiments": ("create", "list"),
    "runs": ("create", "get", "list", "retry", "terminate"),
    "jobs": ("create", "delete", "disable", "enable", "get", "list"),
}
_STORE_SERVICE = "minio-service"
_PIPELINE = "kubectl apply -k k8s/pipeline"


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        check: the name of the check.
        state: ok, failed, or unknown where it could not be checked from here.
        detail: the fact that was found.
        remedy: the next action, if the state is not ok.
    """

    check: str
    state: str
    detail: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Returns plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Needs:
    """Requirements of a configuration on the cluster.

    Attributes:
        service_account: of the steps' pods.
        pipeline_root: where artifacts go; empty for the cluster's own.
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


def examine(server: KubeflowServer, cluster: KubernetesApi | None, needs: Needs) -> list[Finding]:
    """Runs all checks; one that fails does not prevent the others.

    Args:
        server: the API server of Kubeflow Pipelines.
        cluster: the Kubernetes API of its cluster, asked about the namespace of the runs; None if
            there is no access.
        needs: what the configuration requires.
    """
    found = list(_server(server))
    if cluster is None:
        reason = "there is no access to the Kubernetes API"
        remedy = "Set KUBECONFIG, or run this in a pod with an account that may read the namespace"
        checks = ("rights", "account", "pipeline root", "claims", "secrets")
        found += [Finding(check, UNKNOWN, reason, remedy) for check in checks]
    else:
        multi_user = any(one.check == "version" and "multi-user" in one.detail for one in found)
        found += _guarded("rights", lambda: _rights(cluster, multi_user))
        found += _guarded("account", lambda: _account(cluster, needs.service_account))
        found += _guarded("pipeline root", lambda: _root(cluster, needs.pipeline_root))
        for claim in needs.claims:
            found += _guarded("claims", lambda claim=claim: _claim(cluster, claim))
        for secret in (*needs.secrets, *needs.pull_secrets):
            found += _guarded("secrets", lambda secret=secret: _secret(cluster, secret))
        if needs.workers:
            found += _guarded("workers", lambda: _jobset(cluster))
    found += [_image(image, needs.pull_secrets) for image in needs.images]
    return found


def _guarded(check: str, look: Any) -> list[Finding]:
    """Runs a check; without the right to look, the state is unknown."""
    try:
        return list(look())
    except KubernetesError as error:
        remedy = "Ask someone who may read the namespace to run this check"
        return [Finding(check, UNKNOWN, str(error), remedy)]


def _server(server: KubeflowServer) -> Iterator[Finding]:
    endpoint = server.api.connection.endpoint
    try:
        health = server.api.get("look at the server", "healthz")
    except SkymillError as error:
        yield Finding("connection", FAILED, str(error), "Correct --endpoint or the credentials")
        return
    yield Finding("connection", OK, endpoint)
    multi_user = bool(health.get("multi_user"))
    yield _version(server, str(health.get("tag_name") or "unknown"), multi_user)
    namespace = server.api.connection.namespace
    if multi_user and not namespace:
        yield Finding("namespace", FAILED, "the installation has several users", "Give --namespace")
        return
    try:
        server.newest_runs(1)
        yield Finding("namespace", OK, namespace or "the server's own")
    except KubeflowError as error:
        yield Finding("namespace", FAILED, str(error), "docs/submit.md lists the permissions")


def _version(server: KubeflowServer, release: str, multi_user: bool) -> Finding:
    mlmd = _has_mlmd(server)
    metrics = "with ML Metadata" if mlmd else "without ML Metadata"
    users = "multi-user" if multi_user else "single-user"
    detail = f"release {release}, {metrics}, {users}"
    number = re.match(r"(\d+)\.(\d+)", release)
    if number and (int(number[1]), int(number[2])) < _OLDEST:
        return Finding("version", FAILED, detail, "Install Kubeflow Pipelines 2.5 or newer")
    if mlmd and not server.api.connection.metadata:
        detail += "; metrics need --metadata"
    return Finding("version", OK, detail)


def _has_mlmd(server: KubeflowServer) -> bool:
    """Checks for the artifacts of the API, which replaced ML Metadata."""
    try:
        server.api.get("look for artifacts", "artifacts", page_size="1", **server.api.scope())
    except NotFound:
        return True
    except KubeflowError:  # it exists, but may not be listed
        return False
    return False


def _rights(cluster: KubernetesApi, multi_user: bool) -> Iterator[Finding]:
    if not multi_user:
        yield Finding("rights", OK, "a single-user installation asks nobody for rights")
        return
    missing = [
        f"{resource}: {verb}"
        for resource, verbs in _RIGHTS.items()
        for verb in verbs
        if not _is_allowed(cluster, resource, verb)
    ]
    if missing:
        detail = f"in {cluster.namespace} you lack {', '.join(missing)}"
        yield Finding("rights", FAILED, detail, "Bind the Role of docs/submit.md")
    else:
        yield Finding(
            "rights", OK, f"all that submit, runs and schedule need in {cluster.namespace}"
        )


def _is_allowed(cluster: KubernetesApi, resource: str, verb: str) -> bool:
    attributes = {
        "group": "pipelines.kubeflow.org",
        "namespace": cluster.namespace,
        "resource": resource,
        "verb": verb,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = cluster.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool((answer.get("status") or {}).get("allowed"))


def _account(cluster: KubernetesApi, name: str) -> Iterator[Finding]:
    if not name:
        yield Finding("account", OK, "the cluster's own")
    elif cluster.find(cluster.path("v1", "serviceaccounts", name)):
        yield Finding("account", OK, name)
    else:
        detail = f"there is no ServiceAccount {name} in {cluster.namespace}"
        yield Finding("account", FAILED, detail, f"{_PIPELINE}, or name one with --service-account")


def _root(cluster: KubernetesApi, root: str) -> Iterator[Finding]:
    """Checks what can be seen from outside of a pod: the cluster's default and its own store."""
    if not root:
        launcher = cluster.find(cluster.path("v1", "configmaps", "kfp-launcher")) or {}
        root = (launcher.get("data") or {}).get("defaultPipelineRoot", "") or "minio://mlpipeline"
    if not root.startswith("minio://"):
        remedy = "Run a small package: skymill submit. Its pods need the bucket's credentials"
        yield Finding("pipeline root", UNKNOWN, f"{root}: only a pod has its credentials", remedy)
        return
    service = cluster.find(cluster.path("v1", "endpoints", _STORE_SERVICE))
    ready = [
        one for part in (service or {}).get("subsets") or [] for one in part.get("addresses", [])
    ]
    if ready:
        yield Finding("pipeline root", OK, f"{root}: {_STORE_SERVICE} is ready")
        return
    state = "has no ready pod" if service else f"does not exist in {cluster.namespace}"
    remedy = "Wait for the store's deployment, or give kubeflow.pipeline_root on s3:// or gs://"
    yield Finding("pipeline root", FAILED, f"{root}: {_STORE_SERVICE} {state}", remedy)


def _claim(cluster: KubernetesApi, name: str) -> Iterator[Finding]:
    claim = cluster.find(cluster.path("v1", "persistentvolumeclaims", name))
    if claim is None:
        detail = f"there is no claim {name} in {cluster.namespace}"
        yield Finding("claims", FAILED, detail, f"Create it; {_PIPELINE} creates `skymill`")
        return
    phase = (claim.get("status") or {}).get("phase", "Pending")
    modes = (claim.get("spec") or {}).get("accessModes", [])
    if phase == "Pending":
        remedy = f"kubectl -n {cluster.namespace} describe pvc {name}"
        yield Finding(
            "claims", UNKNOWN, f"{name} is not bound; it may wait for its first pod", remedy
        )
    elif phase != "Bound":
        yield Finding(
            "claims", FAILED, f"{name} is {phase}", "Restore its volume, or create another"
        )
    elif "ReadWriteMany" not in modes:
        remedy = "Use a ReadWriteMany claim, unless all pods run on one node"
        yield Finding("claims", UNKNOWN, f"{name} is bound, but only {', '.join(modes)}", remedy)
    else:
        yield Finding("claims", OK, f"{name} is bound")


def _secret(cluster: KubernetesApi, name: str) -> Iterator[Finding]:
    if cluster.find(cluster.path("v1", "secrets", name)):
        yield Finding("secrets", OK, name)
    else:
        detail = f"there is no Secret {name} in {cluster.namespace}"
        yield Finding("secrets", FAILED, detail, f"kubectl -n {cluster.namespace} create secret")


def _jobset(cluster: KubernetesApi) -> Iterator[Finding]:
    if cluster.find(f"/apis/{JOBSET}"):
        yield Finding("workers", OK, f"the cluster has {JOBSET}")
    else:
        remedy = "Install JobSet (https://jobset.sigs.k8s.io), and kubectl apply -k k8s/workers"
        yield Finding("workers", FAILED, f"the cluster has no {JOBSET}", remedy)


def _image(image: str, pull_secrets: Sequence[str]) -> Finding:
    status = image_status(image)
    if status == 200:
        return Finding("images", OK, f"{image} is public")
    if status == 404:
        return Finding("images", FAILED, f"{image} does not exist", "Push it, or correct the name")
    if status in (401, 403):
        remedy = (
            f"The kubelet uses {', '.join(pull_secrets)}"
            if pull_secrets
            else "Give kubeflow.image_pull_secrets, unless the nodes have credentials of their own"
        )
        detail = f"{image} is private, or does not exist"
        return Finding("images", UNKNOWN if pull_secrets else FAILED, detail, remedy)
    reason = f"its registry answered {status}" if status else "its registry cannot be reached"
    remedy = "Try on a node: crictl pull"
    return Finding("images", UNKNOWN, f"{image}: {reason} from here", remedy)
