"""Checks of a cluster by its Kubernetes API: rights, accounts, volumes, secrets, the store."""

from collections.abc import Iterator

from pipelines.kubeflow.client.finding import FAILED, OK, UNKNOWN, Finding
from pipelines.kubeflow.cluster.api import KubernetesApi
from pipelines.kubeflow.cluster.jobset import API as JOBSET

#: Rights on `pipelines.kubeflow.org` that submit, follow, runs and schedule need.
_RIGHTS = {
    "pipelines": ("create", "get", "list"),
    "experiments": ("create", "list"),
    "runs": ("create", "get", "list", "retry", "terminate"),
    "jobs": ("create", "delete", "disable", "enable", "get", "list"),
}
_STORE_SERVICE = "minio-service"
_PIPELINE = "kubectl apply -k k8s/pipeline"


def rights(cluster: KubernetesApi, multi_user: bool) -> Iterator[Finding]:
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


def account(cluster: KubernetesApi, name: str) -> Iterator[Finding]:
    if not name:
        yield Finding("account", OK, "the cluster's own")
    elif cluster.find(cluster.path("v1", "serviceaccounts", name)):
        yield Finding("account", OK, name)
    else:
        detail = f"there is no ServiceAccount {name} in {cluster.namespace}"
        yield Finding("account", FAILED, detail, f"{_PIPELINE}, or name one with --service-account")


def root(cluster: KubernetesApi, root: str) -> Iterator[Finding]:
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


def claim(cluster: KubernetesApi, name: str) -> Iterator[Finding]:
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


def secret(cluster: KubernetesApi, name: str) -> Iterator[Finding]:
    if cluster.find(cluster.path("v1", "secrets", name)):
        yield Finding("secrets", OK, name)
    else:
        detail = f"there is no Secret {name} in {cluster.namespace}"
        yield Finding("secrets", FAILED, detail, f"kubectl -n {cluster.namespace} create secret")


def jobset(cluster: KubernetesApi) -> Iterator[Finding]:
    if cluster.find(f"/apis/{JOBSET}"):
        yield Finding("workers", OK, f"the cluster has {JOBSET}")
    else:
        remedy = "Install JobSet (https://jobset.sigs.k8s.io), and kubectl apply -k k8s/workers"
        yield Finding("workers", FAILED, f"the cluster has no {JOBSET}", remedy)
