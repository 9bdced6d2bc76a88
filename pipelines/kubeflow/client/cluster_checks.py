"""Checks of a cluster by its Kubernetes API: rights, accounts, volumes, secrets, the store."""

from collections.abc import Iterator

from pipelines.kubeflow.client.finding import FAILED, OK, UNKNOWN, DoctorFinding
from pipelines.kubeflow.client.retry_default import CONFIG_MAP, default_policy, retries_under
from pipelines.kubeflow.cluster.api import KubernetesApi
from pipelines.kubeflow.cluster.jobset import API as JOBSET

#: Rights on `pipelines.kubeflow.org` that submit, follow, runs and schedule need.
_RIGHTS = {
    "pipelines": ("create", "get", "list"),
    "experiments": ("create", "list"),
    "runs": ("create", "get", "list", "retry", "terminate"),
    "jobs": ("create", "delete", "disable", "enable", "get", "list"),
}
#: Services of the cluster's own store: up to release 2.15, and since 2.16.
_STORES = ("minio-service", "seaweedfs")
#: The namespace of Kubeflow Pipelines itself, which in a multi-user installation has no runs.
_INSTALLATION = "kubeflow"
_PIPELINE = "kubectl apply -k k8s/pipeline"


def rights(cluster: KubernetesApi, multi_user: bool) -> Iterator[DoctorFinding]:
    """Reviews the caller's rights in the namespace of the runs."""
    if not multi_user:
        yield DoctorFinding("rights", OK, "a single-user installation checks no rights")
        return
    missing = [
        f"{resource}: {verb}"
        for resource, verbs in _RIGHTS.items()
        for verb in verbs
        if not _is_allowed(cluster, verb, resource, group="pipelines.kubeflow.org")
    ]
    if missing:
        detail = f"in {cluster.namespace} you lack {', '.join(missing)}"
        yield DoctorFinding("rights", FAILED, detail, "Bind the Role of docs/submit.md")
    else:
        yield DoctorFinding(
            "rights",
            OK,
            f"all that submit, runs and schedule need in {cluster.namespace}, for your account of "
            "Kubernetes",
        )


def _is_allowed(cluster: KubernetesApi, verb: str, resource: str, **more: str) -> bool:
    attributes = {"namespace": cluster.namespace, "resource": resource, "verb": verb, **more}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = cluster.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool((answer.get("status") or {}).get("allowed"))


def account(cluster: KubernetesApi, name: str) -> Iterator[DoctorFinding]:
    """Looks for the account of the steps' pods."""
    if not name:
        yield DoctorFinding("account", OK, "the cluster's own")
        return
    remedy = f"{_PIPELINE}, or name one with --service-account"
    yield _present(cluster, "account", "ServiceAccount", name, remedy)


def root(cluster: KubernetesApi, root: str) -> Iterator[DoctorFinding]:
    """Checks what can be seen from outside of a pod: the cluster's default and its own store."""
    if not root:
        launcher = cluster.find(cluster.path("v1", "configmaps", "kfp-launcher")) or {}
        root = (launcher.get("data") or {}).get("defaultPipelineRoot", "") or "minio://mlpipeline"
    if not root.startswith("minio://"):
        remedy = "Run a small package: skymill submit. Its pods need the bucket's credentials"
        yield DoctorFinding(
            "pipeline root", UNKNOWN, f"{root}: only a pod has its credentials", remedy
        )
        return
    found = [
        (place, name, service)
        for place in _namespaces(cluster)
        for name in _STORES
        if (service := place.find(place.path("v1", "endpoints", name)))
    ]
    for _, name, service in found:
        if any(part.get("addresses") for part in service.get("subsets") or []):
            yield DoctorFinding("pipeline root", OK, f"{root}: {name} is ready")
            return
    remedy = "Wait for the store's deployment, or give kubeflow.pipeline_root on s3:// or gs://"
    if found:
        place, name, _ = found[0]
        detail = f"{root}: {name} has no ready pod in {place.namespace}"
    else:
        places = " and ".join(one.namespace for one in _namespaces(cluster))
        detail = f"{root}: there is no {' or '.join(_STORES)} in {places}"
    yield DoctorFinding("pipeline root", FAILED, detail, remedy)


def retries(cluster: KubernetesApi) -> Iterator[DoctorFinding]:
    """Reads the controller's default retries, which decide what `retries` of a package repeat."""
    for place in _namespaces(cluster):
        if not _is_allowed(place, "get", "configmaps", name=CONFIG_MAP):
            remedy = f"Ask someone who may: kubectl -n {place.namespace} get configmap {CONFIG_MAP}"
            detail = f"you may not read {CONFIG_MAP} in {place.namespace}"
            yield DoctorFinding("retries", UNKNOWN, detail, remedy)
            return
        settings = place.find(place.path("v1", "configmaps", CONFIG_MAP))
        if settings is None:
            continue
        try:
            yield retries_under(default_policy(settings.get("data") or {}), place.namespace)
        except ValueError as error:
            remedy = f"Correct {CONFIG_MAP} in {place.namespace}: Argo cannot read it either"
            yield DoctorFinding("retries", UNKNOWN, str(error), remedy)
        return
    places = " or ".join(one.namespace for one in _namespaces(cluster))
    remedy = "Look where Argo's controller runs; docs/kubeflow.md describes its default"
    yield DoctorFinding("retries", UNKNOWN, f"there is no {CONFIG_MAP} in {places}", remedy)


def claim(cluster: KubernetesApi, name: str) -> Iterator[DoctorFinding]:
    """Checks that a claim is bound, and that pods on several nodes can mount it at once."""
    claim = cluster.find(cluster.path("v1", "persistentvolumeclaims", name))
    if claim is None:
        detail = f"there is no claim {name} in {cluster.namespace}"
        yield DoctorFinding("claims", FAILED, detail, f"Create it; {_PIPELINE} creates `skymill`")
        return
    phase = (claim.get("status") or {}).get("phase", "Pending")
    modes = (claim.get("spec") or {}).get("accessModes", [])
    if phase == "Pending":
        remedy = f"kubectl -n {cluster.namespace} describe pvc {name}"
        yield DoctorFinding(
            "claims", UNKNOWN, f"{name} is not bound; it may wait for its first pod", remedy
        )
    elif phase != "Bound":
        yield DoctorFinding(
            "claims", FAILED, f"{name} is {phase}", "Restore its volume, or create another"
        )
    elif "ReadWriteMany" not in modes:
        remedy = "Use a ReadWriteMany claim, unless all pods run on one node"
        yield DoctorFinding(
            "claims", UNKNOWN, f"{name} is bound, but only {', '.join(modes)}", remedy
        )
    else:
        yield DoctorFinding("claims", OK, f"{name} is bound")


def secret(cluster: KubernetesApi, name: str) -> Iterator[DoctorFinding]:
    """Looks for a secret."""
    remedy = f"kubectl -n {cluster.namespace} create secret"
    yield _present(cluster, "secrets", "Secret", name, remedy)


def jobset(cluster: KubernetesApi) -> Iterator[DoctorFinding]:
    """Looks for JobSet, which a training on several pods needs."""
    if cluster.find(f"/apis/{JOBSET}"):
        yield DoctorFinding("workers", OK, f"the cluster has {JOBSET}")
    else:
        remedy = "Install JobSet (https://jobset.sigs.k8s.io), and kubectl apply -k k8s/workers"
        yield DoctorFinding("workers", FAILED, f"the cluster has no {JOBSET}", remedy)


def _present(
    cluster: KubernetesApi, check: str, kind: str, name: str, remedy: str
) -> DoctorFinding:
    if cluster.find(cluster.path("v1", f"{kind.lower()}s", name)):
        return DoctorFinding(check, OK, name)
    detail = f"there is no {kind} {name} in {cluster.namespace}"
    return DoctorFinding(check, FAILED, detail, remedy)


def _namespaces(cluster: KubernetesApi) -> list[KubernetesApi]:
    """Returns the namespace of the runs, then that of the installation if it is another."""
    if cluster.namespace == _INSTALLATION:
        return [cluster]
    return [cluster, cluster.within(_INSTALLATION)]
