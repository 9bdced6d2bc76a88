"""Rights and network of pods that train together."""

from collections.abc import Callable

import pytest

from pipelines.config.kubeflow import StepConfig, Workers
from pipelines.kubeflow.cluster.jobset import Owner, jobset
from pipelines.kubeflow.contract.workers import WorkerPods
from tests.k8s.conftest import Manifests


@pytest.fixture
def workers(render: Callable[[str], Manifests]) -> Manifests:
    return render("workers")


def test_the_step_may_do_what_it_does_with_a_jobset_and_no_more(workers: Manifests) -> None:
    rules = workers.one("Role")["rules"]
    assert {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    } == {
        ("jobset.x-k8s.io", "jobsets", "create"),
        ("jobset.x-k8s.io", "jobsets", "get"),
        ("jobset.x-k8s.io", "jobsets", "delete"),
        ("", "pods", "get"),
        ("", "pods", "list"),
        ("", "pods/log", "get"),
    }


def test_the_right_is_that_of_the_steps_account(
    workers: Manifests, render: Callable[[str], Manifests]
) -> None:
    [subject] = workers.one("RoleBinding")["subjects"]
    account = render("pipeline").one("ServiceAccount")["metadata"]
    assert (subject["name"], workers.one("Role")["metadata"]["namespace"]) == (
        account["name"],
        account["namespace"],
    )


def test_the_policy_selects_the_pods_that_the_step_creates(workers: Manifests) -> None:
    pods = WorkerPods(workers=Workers(count=2, exchange="/mnt"), step=StepConfig(image="a:1"))
    found = jobset("train", pods, ["python"], Owner("pod", "uid", "run"), 4)
    [replicated] = found["spec"]["replicatedJobs"]
    labels = replicated["template"]["spec"]["template"]["metadata"]["labels"]
    policy = workers.one("NetworkPolicy")["spec"]
    selected = policy["podSelector"]["matchLabels"]
    assert selected.items() <= labels.items()
    assert policy["ingress"] == [{"from": [{"podSelector": {"matchLabels": selected}}]}]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
