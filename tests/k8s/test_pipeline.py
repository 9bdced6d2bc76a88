"""Resources for runs in Kubeflow's namespace, and Flink for their Beam steps."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.k8s.conftest import Manifests
from tests.k8s.test_schemas import NEWEST, OLDEST

WRITING = {"create", "patch", "update", "delete", "deletecollection", "*"}


@pytest.fixture
def steps(render: Callable[[str], Manifests]) -> Manifests:
    return render("pipeline")


@pytest.fixture
def flink(render: Callable[[str], Manifests]) -> Manifests:
    return render("beam-flink")


def pods(flink: Manifests) -> dict[str, dict[str, Any]]:
    """The operator's pods, as their templates say."""
    spec = flink.one("FlinkDeployment")["spec"]
    return {"both": spec["podTemplate"]["spec"], "task": spec["taskManager"]["podTemplate"]["spec"]}


def flags(flink: Manifests) -> dict[str, str]:
    [server] = flink.one("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(arg.removeprefix("--").split("=", 1) for arg in server["args"])


def test_steps_may_write_nothing_but_how_they_ended(steps: Manifests) -> None:
    for rule in steps.one("Role")["rules"]:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        if WRITING & set(rule["verbs"]):
            assert rule["resources"] == ["workflowtaskresults"]
        if {"secrets", "configmaps"} & set(rule["resources"]):
            assert rule["verbs"] == ["get"]
            assert rule["resourceNames"], "by name, or it is every one in the namespace"
    assert not steps.of("ClusterRole") + steps.of("ClusterRoleBinding")


def test_the_role_is_the_accounts(steps: Manifests) -> None:
    binding = steps.one("RoleBinding")
    assert binding["roleRef"]["name"] == steps.one("Role")["metadata"]["name"]
    account = steps.one("ServiceAccount")["metadata"]
    [subject] = binding["subjects"]
    assert (subject["kind"], subject["name"]) == ("ServiceAccount", account["name"])
    assert subject["namespace"] == account["namespace"] == "kubeflow"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_flinks_pods_are_pods(flink: Manifests, version: str) -> None:
    for name, spec in pods(flink).items():
        containers = [{"image": "flink", **one} for one in spec["containers"]]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {**spec, "containers": containers},
        }
        assert kubernetes_validate.validate(pod, version, strict=True) == version


def test_steps_workers_and_job_server_share_one_claim_at_one_path(
    flink: Manifests, steps: Manifests
) -> None:
    claim = steps.one("PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    job_server = flink.one("Deployment")["spec"]["template"]["spec"]
    for spec in (pods(flink)["both"], job_server):
        claims = [v["persistentVolumeClaim"] for v in spec["volumes"] if "emptyDir" not in v]
        assert claims == [{"claimName": claim["metadata"]["name"]}]
    containers = [one for spec in (*pods(flink).values(), job_server) for one in spec["containers"]]
    assert len(containers) == 3
    for container in containers:
        paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert paths["skymill"] == "/mnt/skymill"
    assert flags(flink)["artifacts-dir"].startswith("/mnt/skymill/")


def test_whoever_writes_on_the_claim_is_the_images_user(
    render: Callable[[str], Manifests], flink: Manifests, repository: Path
) -> None:
    """A step makes its folder in the exchange for itself alone to write in."""
    dockerfile = (repository / "docker" / "Dockerfile").read_text()
    [user] = re.findall(r"^USER (\d+:\d+)$", dockerfile, re.MULTILINE)
    both, task = pods(flink)["both"], pods(flink)["task"]
    merged = {**both, **task, "containers": both["containers"] + task["containers"]}
    specs = [
        merged,
        flink.one("Deployment")["spec"]["template"]["spec"],
        *(job["spec"]["template"]["spec"] for job in render("tuner").of("Job")),
        render("loader").one("Pod")["spec"],
    ]
    writers = []
    for spec in specs:
        for container in spec["containers"]:
            mounts = {mount["name"]: mount for mount in container.get("volumeMounts", ())}
            if "skymill" not in mounts or mounts["skymill"].get("readOnly"):
                continue
            context = {**spec["securityContext"], **container["securityContext"]}
            assert f"{context['runAsUser']}:{context['runAsGroup']}" == user, container["name"]
            assert f"{context['fsGroup']}" == user.partition(":")[2], container["name"]
            writers.append(container["name"])
    assert {"python", "job-server", "worker", "loader"} <= set(writers)


def test_versions_are_those_of_one_another_and_of_the_lock(
    flink: Manifests, repository: Path
) -> None:
    lock = (repository / "requirements" / "lock.txt").read_text()
    [beam] = re.findall(r"^apache-beam==(\S+)", lock, re.MULTILINE)
    spec = flink.one("FlinkDeployment")["spec"]
    release = spec["flinkVersion"].removeprefix("v").replace("_", ".")
    assert spec["image"].startswith(f"flink:{release}.")
    [server] = flink.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert server["image"] == f"apache/beam_flink{release}_job_server:{beam}"
    makefile = (repository / "Makefile").read_text()
    assert f"FLINK ?= {release}\n" in makefile


def test_the_documented_options_lead_there(flink: Manifests, repository: Path) -> None:
    text = (repository / "docs" / "scale-out.md").read_text()
    service = flink.one("Service")
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    name = service["metadata"]["name"]
    assert f"--job_endpoint={name}:{ports['jobs']}" in text
    assert f"--artifact_endpoint={name}:{ports['artifacts']}" in text
    assert (flags(flink)["job-port"], flags(flink)["artifact-port"]) == tuple(
        str(ports[name]) for name in ("jobs", "artifacts")
    )
    [pool] = pods(flink)["task"]["containers"]
    [port] = [arg.partition("=")[2] for arg in pool["command"] if "--service_port" in arg]
    assert f"--environment_config=localhost:{port}" in text
    cluster = flink.one("FlinkDeployment")["metadata"]["name"]
    assert flags(flink)["flink-master"] == f"{cluster}-rest:8081"


def test_nobody_outside_reaches_a_worker_pool_and_only_steps_the_job_server(
    flink: Manifests,
) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in flink.of("NetworkPolicy")}
    cluster = policies["skymill-flink"]
    assert cluster["podSelector"]["matchLabels"]["app"] == "skymill-flink"
    opened = {port["port"] for rule in cluster["ingress"] for port in rule["ports"]}
    assert 50000 not in opened
    configuration = flink.one("FlinkDeployment")["spec"]["flinkConfiguration"]
    assert {int(v) for k, v in configuration.items() if k.endswith(".port")} <= opened
    [steps] = policies["skymill-beam-jobs"]["ingress"]
    assert steps["from"] == [
        {
            "podSelector": {
                "matchExpressions": [
                    {"key": "workflows.argoproj.io/workflow", "operator": "Exists"}
                ]
            }
        }
    ]


def test_no_container_is_root_or_may_become_it(flink: Manifests) -> None:
    job_server = flink.one("Deployment")["spec"]["template"]["spec"]
    for spec in (pods(flink)["both"], job_server):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for spec in (*pods(flink).values(), job_server):
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
