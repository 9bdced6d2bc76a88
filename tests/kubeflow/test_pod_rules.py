"""The compiler refuses pods that Kubernetes would refuse."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.raster.errors import ConfigError
from pipelines.config.kubeflow import KubeflowConfig
from pipelines.config.tree import parse_config
from pipelines.kubeflow.compile.package import compile_package
from pipelines.kubeflow.compile.pod_rules import require_pods


def check(step: dict[str, Any], **kubeflow: Any) -> None:
    config = KubeflowConfig.model_validate({"nodes": {"Trainer": step}, **kubeflow})
    require_pods({name: config.step(name) for name in ("Ingest", "Trainer")}, config)


def claims(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"volumes": [{"claim": claim, "path": path} for claim, path in pairs]}


def secrets(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"secret_volumes": [{"secret": secret, "path": path} for secret, path in pairs]}


def variables(*names: str, secret: str = "imagery", key: str = "key") -> dict[str, Any]:
    return {
        "secret_variables": [{"secret": secret, "key": key, "variable": name} for name in names]
    }


REFUSED: list[tuple[dict[str, Any], str]] = [
    (claims(("team.data", "/data")), "'team.data': it has to be up to 63 .* no dot"),
    (claims(("a" * 64, "/data")), "up to 63"),
    (secrets(("team.key", "/key")), "the secret 'team.key'"),
    (claims(("one", "/a")) | secrets(("one", "/b")), "two volumes are named one"),
    (claims(("one", "/a"), ("one", "/b")), "two volumes are named one"),
    (claims(("shared-memory", "/a")) | {"shared_memory": "1Gi"}, "are named shared-memory"),
    (claims(("kfp-launcher", "/a")), "kfp-launcher, which Kubeflow uses"),
    (claims(("one", "/a"), ("two", "/a")), "two volumes are mounted at /a"),
    (claims(("one", "/a")) | secrets(("two", "/a/")), "two volumes are mounted at /a"),
    (claims(("one", "/dev/shm")) | {"shared_memory": "1Gi"}, "mounted at /dev/shm"),
    (claims(("one", "/minio")), "/minio, where Kubeflow mounts"),
    ({"environment": {"TOKEN": "a"}} | variables("TOKEN"), "the variable TOKEN is given twice"),
    (variables("TOKEN", "TOKEN"), "the variable TOKEN is given twice"),
    (variables("A", key="a/b"), "the key 'a/b'"),
    (variables("A", key=".."), "the key '..'"),
    (variables("A", secret="a..b"), "the secret 'a..b'"),
    ({"labels": {"team": "land cover"}}, "labels.team: the value 'land cover'"),
    ({"labels": {"team": "a" * 64}}, "labels.team: the value"),
    ({"labels": {"team": "a-"}}, "labels.team: the value"),
    ({"labels": {"-team": "a"}}, "the name in '-team'"),
    ({"labels": {"a" * 64: "a"}}, "the name in"),
    ({"labels": {"Team.Example/name": "a"}}, "the domain of 'Team.Example/name'"),
    ({"labels": {"/name": "a"}}, "the domain of '/name'"),
    ({"node_selector": {"pool": "gpu nodes"}}, "node_selector.pool: the value"),
    ({"tolerations": [{"key": "a b"}]}, "the name in 'a b'"),
    ({"tolerations": [{"key": "pool", "value": "gpu"}]}, "Exists takes no value"),
    ({"cpu_request": "2", "cpu_limit": "1500m"}, "cpu_request 2 is more"),
    ({"memory_request": "1Gi", "memory_limit": "1G"}, "memory_request 1Gi is more"),
    ({"accelerator": {"resource": "gpu"}}, "'gpu': it has a domain"),
]
SOUND: list[dict[str, Any]] = [
    claims(("a" * 63, "/data"), ("b", "/data/deeper")),
    claims(("one", "/a")) | secrets(("two", "/b")) | {"shared_memory": "1Gi"},
    {"environment": {"TOKEN": "a"}} | variables("OTHER", secret="team.key", key=".data.a"),
    {"labels": {"team": "", "skymill.example/kind-of_step.a": "A" * 63}},
    {"node_selector": {"cloud.google.com/gke-accelerator": "nvidia-l4"}},
    {"tolerations": [{"key": "pool", "operator": "Equal", "value": "gpu"}]},
    {"cpu_request": "500m", "cpu_limit": "0.5", "memory_request": "1G", "memory_limit": "1Gi"},
    {"accelerator": {"resource": "google.com/tpu", "count": 4}},
]


@pytest.mark.parametrize(("step", "said"), REFUSED)
def test_a_pod_that_would_be_refused_is_reported(step: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=f"refuse these pods:\n  Trainer: .*{said}"):
        check(step)


@pytest.mark.parametrize("step", SOUND)
def test_a_pod_that_would_be_taken_passes(step: dict[str, Any]) -> None:
    check(step)


def test_each_fault_is_reported_once_with_its_steps() -> None:
    with pytest.raises(ConfigError) as caught:
        check({"labels": {"a": "?"}}, steps=claims(("a.b", "/a")), image_pull_secrets=["a..b"])
    _, *lines = str(caught.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["every step", "every step", "Trainer"]


@pytest.mark.parametrize("claim", ["skymill.data", "skymill-data"])
def test_a_package_is_compiled_only_if_its_pods_are_taken(repository: Path, claim: str) -> None:
    tree = yaml.safe_load((repository / "tests/golden/kubeflow.yaml").read_text())
    tree["kubeflow"]["steps"]["volumes"] = [{"claim": claim, "path": "/mnt/skymill"}]
    refused = pytest.raises(ConfigError, match="every step: volumes: the claim 'skymill.data'")
    with refused if "." in claim else nullcontext():
        compile_package(parse_config(tree, "/"))
