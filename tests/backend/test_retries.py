"""Argo's controller retries steps as docs/kubeflow.md says, by the text that Kubeflow passes it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.kubeflow import Retries
from pipelines.kubeflow.client.finding import OK, WARNING, DoctorFinding
from pipelines.kubeflow.client.retry_default import default_policy, retries_under
from tests.backend.argo import DEFAULT, LOST, Argo, Pods, controller, pods_of, with_default
from tests.backend.cluster import Cluster
from tests.backend.processes import absent
from tests.k8s.conftest import Manifests
from tests.kubeflow.argo import retry_strategy
from tests.kubeflow.test_retries import policy

pytestmark = pytest.mark.backend

Json = dict[str, Any]


@pytest.fixture(scope="module")
def pods(cluster: Cluster, tools: Path, render: Callable[[str], Manifests]) -> Iterator[Pods]:
    if not cluster.own:
        pytest.skip("the ends of pods are the kubelet's on a cluster with nodes")
    if reason := absent(tools, "workflow-controller"):
        pytest.skip(reason)
    cluster.apply(*render("pipeline").accounts())
    with pods_of(cluster) as found:
        yield found


@pytest.fixture(scope="module")
def plain(pods: Pods, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Argo]:
    """A controller without a default of its own, as before 2.17.0."""
    with controller(pods, tools, tmp_path_factory.mktemp("argo"), {}) as argo:
        yield argo


@pytest.fixture(scope="module")
def newer(pods: Pods, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Argo]:
    """A controller with the default of 2.17.0."""
    folder = tmp_path_factory.mktemp("argo")
    with controller(pods, tools, folder, with_default(DEFAULT), "newer") as argo:
        yield argo


@pytest.fixture(scope="module")
def always(pods: Pods, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Argo]:
    """A controller whose default is changed as docs/kubeflow.md says."""
    folder = tmp_path_factory.mktemp("argo")
    settings = with_default({**DEFAULT, "retryPolicy": "Always"})
    with controller(pods, tools, folder, settings, "always") as argo:
        yield argo


def workflow(strategy: Json | None) -> Json:
    """One step as Kubeflow's compiler nests it: in a graph, with the strategy at the executor."""
    step: Json = {"name": "step", "container": {"image": "a:1", "command": ["true"]}}
    if strategy is not None:
        step["retryStrategy"] = strategy
    graph = {"name": "root", "dag": {"tasks": [{"name": "executor", "template": "step"}]}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {},
        "spec": {
            "entrypoint": "root",
            "serviceAccountName": "skymill-steps",
            "templates": [graph, step],
        },
    }


def strategy_of(**given: int) -> Json:
    """Returns the compiler's output for `retries` of a configuration."""
    return retry_strategy(policy(Retries(**given)))


QUICK = {"count": 2, "backoff_s": 1, "factor": 1, "give_up_after_s": 600}


def told_by_doctor(argo: Argo) -> DoctorFinding:
    """Returns the finding of `skymill doctor` on the settings that the controller has read."""
    return retries_under(default_policy(argo.settings()), "kubeflow")


def phases(nodes: list[Json]) -> list[str]:
    return [one["phase"] for one in nodes]


def test_a_step_fails_twice_and_then_succeeds(plain: Argo) -> None:
    _, nodes = plain.run(workflow(strategy_of(**QUICK)), 1, 1, 0)
    assert phases(nodes) == ["Failed", "Failed", "Succeeded"]


def test_a_terminated_pod_is_retried_like_a_failed_one(plain: Argo) -> None:
    _, nodes = plain.run(workflow(strategy_of(**QUICK)), 143, 0)
    assert phases(nodes) == ["Failed", "Succeeded"]


def test_retries_end_with_the_count_and_pauses_grow_by_the_factor(plain: Argo) -> None:
    grows = {"count": 2, "backoff_s": 2, "factor": 3, "give_up_after_s": 600}
    _, nodes = plain.run(workflow(strategy_of(**grows)), 1)
    assert phases(nodes) == ["Failed"] * 3
    first, second, third = nodes
    assert between(first["finishedAt"], second["startedAt"]) >= 2
    assert between(second["finishedAt"], third["startedAt"]) >= 6


def test_without_retries_there_is_one_attempt(plain: Argo) -> None:
    assert policy(Retries(count=0, give_up_after_s=1)) == {}
    _, nodes = plain.run(workflow(None), 1)
    assert phases(nodes) == ["Failed"]


def test_a_lost_pod_is_not_retried_without_the_default(plain: Argo) -> None:
    _, nodes = plain.run(workflow(strategy_of(**QUICK)), LOST)
    assert phases(nodes) == ["Error"]


def test_the_default_retries_a_lost_pod_and_no_failure(newer: Argo) -> None:
    _, nodes = newer.run(workflow(None), LOST, 0)
    assert phases(nodes) == ["Error", "Succeeded"]
    for code in (1, 143):
        _, nodes = newer.run(workflow(None), code)
        assert phases(nodes) == ["Failed"]


def test_the_default_takes_the_place_of_a_policy_that_a_step_does_not_name(newer: Argo) -> None:
    """Argo merges the two field by field, and Kubeflow's compiler writes no `retryPolicy`."""
    _, nodes = newer.run(workflow(strategy_of(**QUICK)), 1, 1, 0)
    assert phases(nodes) == ["Failed"]
    _, nodes = newer.run(workflow(strategy_of(**QUICK)), LOST, 0)
    assert phases(nodes) == ["Error", "Succeeded"]
    finding = told_by_doctor(newer)
    assert finding.state == WARNING
    assert finding.detail.endswith("OnError: `retries` repeat lost pods and no failures")


def test_with_always_as_the_default_both_are_retried(always: Argo) -> None:
    _, nodes = always.run(workflow(strategy_of(**QUICK)), 1, LOST, 0)
    assert phases(nodes) == ["Failed", "Error", "Succeeded"]
    assert told_by_doctor(always).state == OK


def test_a_retry_has_a_deadline_since_the_first_attempt_and_that_has_none(plain: Argo) -> None:
    hour = {"count": 2, "backoff_s": 1, "factor": 1, "give_up_after_s": 3600}
    name, nodes = plain.run(workflow(strategy_of(**hour)), 1, 0)
    none, deadline = plain.pods.deadlines[name]
    assert none.startswith("0001-01-01")
    assert between(nodes[0]["startedAt"], deadline) == pytest.approx(3600, abs=1)


def test_a_pause_that_would_end_after_the_time_is_not_begun(plain: Argo) -> None:
    strategy = strategy_of(**QUICK)
    strategy["backoff"] |= {"duration": "30", "maxDuration": "20"}
    _, nodes = plain.run(workflow(strategy), 1, 0)
    assert phases(nodes) == ["Failed"]


@pytest.mark.parametrize(
    "broken",
    [{"backoffMaxDuration": "0s"}, {"backoffFactor": 1.5}],
    ids=["no end", "fraction"],
)
def test_what_the_configuration_refuses_is_never_retried(plain: Argo, broken: Json) -> None:
    """The imitation in tests/kubeflow/argo.py says the same."""
    _, nodes = plain.run(workflow(retry_strategy({**policy(Retries(**QUICK)), **broken})), 1)
    assert len(nodes) == 1


def between(first: str, second: str) -> float:
    """Seconds from one time to another."""
    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds()
