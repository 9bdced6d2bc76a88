"""Workers of a search: their identity, connections and volumes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.config.tree import parse_config
from pipelines.kubeflow.compile.package import compile_package
from tests.k8s.conftest import Manifests
from trainer.tune.config import TuneWorkers


@pytest.fixture
def tuner(render: Callable[[str], Manifests]) -> Manifests:
    return render("tuner")


def worker(tuner: Manifests) -> dict[str, Any]:
    [container] = pod(tuner)["containers"]
    return dict(container)


def pod(tuner: Manifests) -> dict[str, Any]:
    return dict(tuner.one("Job")["spec"]["template"]["spec"])


def environment(tuner: Manifests) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in worker(tuner)["env"]}


@pytest.fixture
def chief(repository: Path) -> dict[str, Any]:
    """The pod of the Tuner step, as the package asks for it."""
    tree = yaml.safe_load((repository / "tests/golden/kubeflow.yaml").read_text())
    tree["tune"] = {
        "space": {"learning_rate": {"min": 1e-4, "max": 1e-2}},
        "workers": {"exchange": "/mnt/skymill/tune"},
    }
    package = compile_package(parse_config(tree, "/"))
    executors = package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return dict(executors["exec-tuner"])


def test_workers_ask_the_tuner_step_on_its_port(tuner: Manifests, chief: dict[str, Any]) -> None:
    service = tuner.one("Service")
    assert service["spec"]["selector"].items() <= chief["podMetadata"]["labels"].items()
    [port] = service["spec"]["ports"]
    given = environment(tuner)
    assert given["KERASTUNER_ORACLE_IP"]["value"] == service["metadata"]["name"]
    assert given["KERASTUNER_ORACLE_PORT"]["value"] == str(port["port"])
    assert port["port"] == port["targetPort"] == TuneWorkers(exchange="/x").port


def test_each_worker_has_a_name_that_its_successor_inherits(tuner: Manifests) -> None:
    job, given = tuner.one("Job")["spec"], environment(tuner)
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"]
    index = given["NUMBER"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert index == "metadata.labels['batch.kubernetes.io/job-completion-index']"
    assert given["KERASTUNER_TUNER_ID"]["value"] == "worker-$(NUMBER)"
    names = [one["name"] for one in worker(tuner)["env"]]
    assert names.index("NUMBER") < names.index("KERASTUNER_TUNER_ID"), "or it is not replaced"
    assert "chief" not in given["KERASTUNER_TUNER_ID"]["value"], "KerasTuner goes by the name"


def test_chief_and_workers_see_one_claim_at_one_path(
    tuner: Manifests, chief: dict[str, Any], render: Callable[[str], Manifests]
) -> None:
    claim = render("pipeline").one("PersistentVolumeClaim")["metadata"]["name"]
    volumes = {volume["name"]: volume for volume in pod(tuner)["volumes"]}
    assert volumes["skymill"]["persistentVolumeClaim"] == {"claimName": claim}
    mounts = {mount["name"]: mount["mountPath"] for mount in worker(tuner)["volumeMounts"]}
    assert {"constant": claim, "mountPath": mounts["skymill"]} in chief["pvcMount"]
    assert worker(tuner)["command"][-1].startswith(f"{mounts['skymill']}/")
    assert worker(tuner)["command"][1:3] == ["-m", "trainer.tune.worker"]


def test_only_workers_reach_the_chief_and_nobody_reaches_them(tuner: Manifests) -> None:
    labels = tuner.one("Job")["spec"]["template"]["metadata"]["labels"]
    policies = {one["metadata"]["name"]: one["spec"] for one in tuner.of("NetworkPolicy")}
    [rule] = policies["skymill-tuner"]["ingress"]
    [source] = rule["from"]
    assert source["podSelector"]["matchLabels"].items() <= labels.items()
    assert (
        policies["skymill-tuner"]["podSelector"]["matchLabels"]
        == (tuner.one("Service")["spec"]["selector"])
    )
    workers = policies["skymill-tuner-workers"]
    assert workers["podSelector"]["matchLabels"].items() <= labels.items()
    assert workers["ingress"] == []
    ports = {port["port"] for rule in workers["egress"] for port in rule["ports"]}
    assert ports == {8000, 53}


def test_workers_are_restricted(tuner: Manifests) -> None:
    spec = pod(tuner)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert worker(tuner)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert worker(tuner)["resources"]["limits"]["memory"]
