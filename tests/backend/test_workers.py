"""The JobSet of a training on several pods, by the step's own account on a real API server."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kubernetes import client

from pipelines.kubeflow.cluster.api import KubernetesError
from pipelines.kubeflow.cluster.jobset import API, RESOURCE, Owner, jobset
from pipelines.kubeflow.step.worker_set import WorkerSet
from pipelines.kubeflow.step.workers import owner_of
from tests.backend.cluster import Cluster
from tests.backend.processes import until
from tests.k8s.conftest import Manifests
from tests.kubeflow.test_worker_set import FULL_STEP, LASTING, pods

pytestmark = pytest.mark.backend

Json = dict[str, Any]

NAME = "skymill-backend-test"


@pytest.fixture
def step(cluster: Cluster, render: Callable[[str], Manifests]) -> Iterator[Owner]:
    """The pod of a step, as its own account sees it."""
    for name in ("pipeline", "workers"):
        cluster.apply(*render(name).accounts())
    core = client.CoreV1Api(cluster.client())
    pod = {
        "metadata": {"generateName": "step-", "labels": {"pipeline/runid": "run-7"}},
        "spec": {
            "serviceAccountName": "skymill-steps",
            "nodeSelector": {"kubernetes.io/hostname": "none"},
            "containers": [{"name": "main", "image": "a:1"}],
        },
    }
    made = core.create_namespaced_pod("kubeflow", pod).metadata
    api = cluster.account("skymill-steps")
    yield owner_of(api, {"KFP_POD_NAME": made.name, "KFP_POD_UID": made.uid})
    core.delete_namespaced_pod(made.name, "kubeflow")


def condition(kind: str) -> Json:
    return {
        "type": kind,
        "status": "True",
        "reason": "Test",
        "message": "said by the test",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def test_a_step_creates_its_jobset_and_deletes_it_at_the_end(cluster: Cluster, step: Owner) -> None:
    """JobSet's controller has no part here: the test says that the workers have ended."""
    assert (step.run_id, step.account) == ("run-7", "skymill-steps")
    account, admin = cluster.account("skymill-steps"), cluster.admin()
    manifest = jobset(NAME, pods(**FULL_STEP), ["python", "-m", "trainer.worker"], step, LASTING)
    pool = ThreadPoolExecutor(1)
    work = pool.submit(WorkerSet(account, manifest, io.StringIO(), poll_s=0.1).run)
    custom = client.CustomObjectsApi(cluster.client())
    group, _, version = API.partition("/")
    place = (group, version, "kubeflow", RESOURCE, NAME)
    path = admin.path(API, RESOURCE, NAME)
    found = until(lambda: admin.find(path) or work.done(), 30)
    try:
        assert not work.done(), work.exception()
        [owner] = found["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Pod", step.pod, step.uid)
        [job] = found["spec"]["replicatedJobs"]
        pod = job["template"]["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] in ("2", 2)
    finally:
        done = {"status": {"conditions": [condition("Completed")]}}
        if not work.done():
            custom.patch_namespaced_custom_object_status(*place, done)
        pool.shutdown()
    work.result()
    left = admin.find(path)
    if left is not None:  # until a garbage collector has looked for what the set owns
        assert left["metadata"]["deletionTimestamp"]
        assert left["metadata"]["finalizers"] == ["foregroundDeletion"]
        custom.patch_namespaced_custom_object(*place, {"metadata": {"finalizers": []}})
        until(lambda: admin.find(path) is None, 10)


def test_the_server_looks_into_the_pods(cluster: Cluster, step: Owner) -> None:
    """The definition of JobSet has Kubernetes' own schema of a pod, without room for a mistake."""
    manifest = jobset(NAME, pods(), ["python"], step, LASTING)
    spec = manifest["spec"]["replicatedJobs"][0]["template"]["spec"]
    spec["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": "no number"}]
    with pytest.raises(KubernetesError, match="answered 422.*containerPort"):
        cluster.account("skymill-steps").create(cluster.admin().path(API, RESOURCE), manifest)


def test_the_pods_of_the_set_pass_admission(cluster: Cluster, step: Owner) -> None:
    """As pods, and where the restricted standard is enforced."""
    manifest = jobset(NAME, pods(**FULL_STEP), ["python"], step, LASTING)
    template = manifest["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    cluster.namespace("restricted")
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    core = client.CoreV1Api(cluster.client())
    core.patch_namespace("restricted", {"metadata": {"labels": label}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    cluster.apply({**account, "metadata": {"name": "skymill-steps", "namespace": "restricted"}})
    pod = {"metadata": {"name": "worker", **template["metadata"]}, "spec": template["spec"]}
    core.create_namespaced_pod("restricted", pod, dry_run="All", field_validation="Strict")
