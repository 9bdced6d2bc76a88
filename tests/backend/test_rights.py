"""Accounts of k8s/ have exactly the rights that their parts need, by a real server's answer."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.doctor import Needs, examine
from pipelines.kubeflow.client.finding import FAILED, OK, UNKNOWN, DoctorFinding
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.cluster.api import KubernetesApi
from tests.backend.cluster import Cluster
from tests.k8s.conftest import Manifests
from tests.kubeflow.api_server.server import api_server
from tests.kubeflow.api_server.store import Store

pytestmark = pytest.mark.backend

Right = tuple[str, str, str, str]

# Verb, group, resource and name. What Argo's executor, Kubeflow's driver and launcher, and the step
# that has workers ask for, read in their sources.
STEPS: set[Right] = {
    ("create", "argoproj.io", "workflowtaskresults", ""),
    ("patch", "argoproj.io", "workflowtaskresults", ""),
    ("get", "", "configmaps", "kfp-launcher"),
    ("get", "", "secrets", "mlpipeline-minio-artifact"),
    ("get", "", "pods", ""),
    ("list", "", "pods", ""),
}
WORKERS: set[Right] = {
    ("create", "jobset.x-k8s.io", "jobsets", ""),
    ("get", "jobset.x-k8s.io", "jobsets", ""),
    ("delete", "jobset.x-k8s.io", "jobsets", ""),
    ("get", "", "pods/log", ""),
}
WATCH: set[Right] = {
    ("get", "", "configmaps", "skymill-watch"),
    ("update", "", "configmaps", "skymill-watch"),
    *(("create", "pipelines.kubeflow.org", name, "") for name in ("pipelines", "experiments")),
    *(("list", "pipelines.kubeflow.org", name, "") for name in ("pipelines", "experiments")),
    *(("create", "pipelines.kubeflow.org", name, "") for name in ("runs",)),
    *((verb, "pipelines.kubeflow.org", "runs", "") for verb in ("get", "list")),
}


@pytest.fixture(scope="module")
def applied(cluster: Cluster, render: Callable[[str], Manifests]) -> Cluster:
    """With the accounts and roles of steps, workers and watch."""
    for name in ("pipeline", "workers", "trigger/deployment"):
        cluster.apply(*render(name).accounts())
    return cluster


def rights_of(api: KubernetesApi) -> set[Right]:
    """Returns an account's rights in its namespace, less those that every account has."""
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
    body = {**kind, "spec": {"namespace": api.namespace}}
    found = api.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body)
    return {
        (verb, group, resource, name)
        for rule in found["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
        if not resource.startswith("selfsubject")
    }


def is_allowed(api: KubernetesApi, right: Right) -> bool:
    verb, group, resource, name = right
    resource, _, subresource = resource.partition("/")
    attributes = {"namespace": api.namespace, "verb": verb, "group": group, "name": name}
    attributes |= {"resource": resource, "subresource": subresource}
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    body = {**kind, "spec": {"resourceAttributes": attributes}}
    found = api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    return bool(found["status"]["allowed"])


@pytest.mark.parametrize(
    ("name", "needed"), [("skymill-steps", STEPS | WORKERS), ("skymill-watch", WATCH)]
)
def test_an_account_may_do_what_is_needed_and_no_more(
    applied: Cluster, name: str, needed: set[Right]
) -> None:
    api = applied.account(name)
    assert [right for right in needed if not is_allowed(api, right)] == []
    assert rights_of(api) == needed


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("skymill-steps", ("get", "", "secrets", "another")),
        ("skymill-steps", ("list", "", "secrets", "")),
        ("skymill-steps", ("create", "", "pods", "")),
        ("skymill-steps", ("create", "", "pods/exec", "")),
        ("skymill-steps", ("create", "argoproj.io", "workflows", "")),
        ("skymill-watch", ("get", "", "configmaps", "another")),
        ("skymill-watch", ("create", "", "configmaps", "")),
        ("skymill-watch", ("get", "", "secrets", "skymill-watch")),
        ("skymill-watch", ("delete", "pipelines.kubeflow.org", "runs", "")),
    ],
)
def test_what_an_account_must_not_do_is_refused(applied: Cluster, name: str, right: Right) -> None:
    assert not is_allowed(applied.account(name), right)


def test_doctor_asks_the_cluster_of_the_caller(applied: Cluster, repository: Path) -> None:
    """The Role of docs/submit.md is all that a user needs where Kubeflow has several users."""
    [role] = [
        yaml.safe_load(block)
        for block in re.findall(
            r"```yaml\n(.*?)```", (repository / "docs" / "submit.md").read_text(), re.DOTALL
        )
        if "skymill-submit" in block
    ]
    role["metadata"]["namespace"] = "kubeflow"
    # A comment of the page names these two, for `skymill runs stop, retry`.
    role["rules"][2]["verbs"] += ["terminate", "retry"]
    here = {"name": "skymill-submit", "namespace": "kubeflow"}
    kind = "rbac.authorization.k8s.io"
    applied.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here},
        role,
        {
            "apiVersion": f"{kind}/v1",
            "kind": "RoleBinding",
            "metadata": here,
            "roleRef": {"apiGroup": kind, "kind": "Role", "name": "skymill-submit"},
            "subjects": [{"kind": "ServiceAccount", "name": "skymill-submit"}],
        },
    )

    def asked(account: str) -> dict[str, DoctorFinding]:
        with api_server(Store(multi_user=True)) as api:
            server = KubeflowServer(Connection(api.url, namespace="kubeflow"))
            needs = Needs("skymill-steps", claims=("skymill",), secrets=("key",), workers=True)
            found = examine(server, applied.account(account), needs)
        return {one.check: one for one in found}

    found = asked("skymill-submit")
    assert found["rights"].state == OK
    assert found["account"].state == UNKNOWN, "it may not look at accounts"
    assert "403" in found["account"].detail
    assert found["workers"] == DoctorFinding(
        "workers", OK, "the cluster has jobset.x-k8s.io/v1alpha2"
    )
    assert found["retries"].state == UNKNOWN
    assert found["retries"].detail.startswith("you may not read workflow-controller-configmap")
    found = asked("skymill-watch")
    assert found["rights"].state == FAILED
    lacking = found["rights"].detail.partition("you lack ")[2].split(", ")
    assert {"pipelines: get", "runs: terminate", "jobs: create"} <= set(lacking)
    assert "runs: create" not in lacking
