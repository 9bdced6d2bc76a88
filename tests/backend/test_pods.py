"""The API server accepts a package's pods exactly if `skymill compile` accepts the package."""

import random
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from components.raster.errors import ConfigError
from pipelines.config.kubeflow import KubeflowConfig
from pipelines.config.tree import load_config
from pipelines.kubeflow.compile.package import compile_package
from pipelines.kubeflow.compile.platform import platform_config
from pipelines.kubeflow.compile.pod_rules import require_pods
from pipelines.kubeflow.compile.resources import kubernetes_resources
from tests.backend.cluster import Cluster
from tests.kubeflow.pods import NotMerged, pod
from tests.kubeflow.test_pod_rules import REFUSED, SOUND

pytestmark = pytest.mark.backend

Json = dict[str, Any]

_SEED, _STEPS = 16, 300


def is_taken(cluster: Cluster, name: str, container: Json, platform: Json) -> bool:
    """Checks whether the server accepts the pod in a strict dry run."""
    try:
        client.CoreV1Api(cluster.client()).create_namespaced_pod(
            "kubeflow",
            pod(name, container, platform),
            dry_run="All",
            field_validation="Strict",
        )
    except NotMerged:
        return False
    except client.ApiException as error:
        if error.status != 422:
            raise
        return False
    return True


def step_is_taken(cluster: Cluster, given: Json) -> bool:
    config = KubeflowConfig.model_validate({"steps": {"image": "a:1", **given}})
    environment = (config.steps.environment or {}).items()
    container = {
        "image": "a:1",
        "command": ["python"],
        "args": [],
        "env": [{"name": name, "value": value} for name, value in environment],
        "resources": kubernetes_resources(config.steps),
    }
    return is_taken(cluster, "step", container, platform_config(config.steps, config))


def is_compiled(given: Json) -> bool:
    config = KubeflowConfig.model_validate({"steps": {"image": "a:1", **given}})
    try:
        require_pods({"Ingest": config.step("Ingest")}, config)
    except ConfigError:
        return False
    return True


def test_every_pod_of_the_golden_package_is_taken(cluster: Cluster, repository: Path) -> None:
    package = compile_package(load_config(repository / "tests" / "golden" / "kubeflow.yaml"))
    platforms = package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executors = package.spec["deploymentSpec"]["executors"]
    assert len(executors) > 12
    for label, executor in executors.items():
        assert is_taken(cluster, label, executor["container"], platforms[label]), label


@pytest.mark.parametrize("given", SOUND)
def test_what_compiles_is_taken(cluster: Cluster, given: Json) -> None:
    assert step_is_taken(cluster, given)


@pytest.mark.parametrize("given", [given for given, _ in REFUSED])
def test_what_does_not_compile_would_be_refused(cluster: Cluster, given: Json) -> None:
    """Except paths that differ by a slash: the server takes both, and one hides the other."""
    assert step_is_taken(cluster, given) == ("'/a/'" in str(given))


def test_compiler_and_server_agree_on_steps_of_any_kind(cluster: Cluster) -> None:
    rng = random.Random(_SEED)
    steps = [some_step(rng) for _ in range(_STEPS)]
    compiled = [is_compiled(one) for one in steps]
    assert 50 < sum(compiled) < _STEPS - 50, "of both kinds are enough"
    differ = [
        one
        for one, ours in zip(steps, compiled, strict=True)
        if step_is_taken(cluster, one) != ours
    ]
    assert differ == []


def some_step(rng: random.Random) -> Json:
    """Settings of a step, with names that are often at the limit of Kubernetes' rules."""
    names = ["data", "a.b", "x" * 63, "x" * 64, "0", "a-b", "shared-memory"]
    paths = ["/data", "/other", "/a/b", "/minio", "/dev/shm", "/.local/share"]
    words = ["", "gpu", "A" * 63, "A" * 64, "a_b.c", "-a", "a-", "a b", "ä", "1"]
    keys = ["pool", "a/b", "a.example/b", "A.example/b", "a" * 64, "/b", "a/", "b-", "a/b/c"]
    quantities = ["100m", "1", "0.5", "2"]
    choices: dict[str, Any] = {
        "volumes": lambda: [
            {"claim": rng.choice(names), "path": rng.choice(paths)}
            for _ in range(rng.randint(0, 2))
        ],
        "secret_volumes": lambda: [{"secret": rng.choice(names), "path": rng.choice(paths)}],
        "secret_variables": lambda: [
            {
                "secret": rng.choice(names),
                "key": rng.choice(["key", ".key", "..", "a/b", "..a", "a..b", "k" * 253]),
                "variable": rng.choice(["TOKEN", "_", "KFP_POD_NAME"]),
            }
        ],
        "environment": lambda: {rng.choice(["TOKEN", "OTHER"]): rng.choice(["", "ä", "$(A)"])},
        "labels": lambda: {rng.choice(keys): rng.choice(words)},
        "node_selector": lambda: {rng.choice(keys): rng.choice(words)},
        "tolerations": lambda: [
            {
                "key": rng.choice(keys),
                "operator": rng.choice(["Exists", "Equal"]),
                "value": rng.choice(words),
                "effect": rng.choice(["NoSchedule", "NoExecute", None]),
            }
        ],
        "cpu_request": lambda: rng.choice(quantities),
        "cpu_limit": lambda: rng.choice(quantities),
        "memory_request": lambda: rng.choice(["1Gi", "1G", "512Mi", "0.5Gi"]),
        "memory_limit": lambda: rng.choice(["1Gi", "1G", "600Mi", "2Gi"]),
        "shared_memory": lambda: "1Gi",
        "timeout_s": lambda: rng.choice([1, 86400, (1 << 31) - 1]),
        "accelerator": lambda: {
            "resource": rng.choice(["nvidia.com/gpu", "gpu", "a/b/c", "amd.com/gpu"]),
            "count": rng.randint(1, 8),
        },
        "image_pull_policy": lambda: rng.choice(["Always", "IfNotPresent", "Never"]),
    }
    return {name: choices[name]() for name in rng.sample(sorted(choices), rng.randint(1, 3))}
