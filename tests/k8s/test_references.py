"""Names, labels and ports in one manifest are those of another."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.conftest import Manifests, Resource, render_folder

RECOMMENDED = {"name", "instance", "component", "part-of", "managed-by", "version"}

# Users or cert-manager make the secrets, as docs/kubernetes.md describes.
SECRETS = {"skymill-serving-tls"}


def template(manifests: Manifests) -> Resource:
    return dict(manifests.one("Deployment")["spec"]["template"])


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def flags(manifests: Manifests) -> dict[str, str]:
    return dict(flag.removeprefix("--").split("=", 1) for flag in manifests.server()["args"])


def test_selectors_find_the_servers_and_nothing_else(overlay: Manifests) -> None:
    servers = template(overlay)["metadata"]["labels"]
    others = [pod["metadata"]["labels"] for pod in overlay.of("Pod")]
    selectors = [
        overlay.one("Deployment")["spec"]["selector"]["matchLabels"],
        overlay.one("Service")["spec"]["selector"],
        overlay.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(
            budget["spec"]["selector"]["matchLabels"]
            for budget in overlay.of("PodDisruptionBudget")
        ),
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in template(overlay)["spec"].get("topologySpreadConstraints", [])
        ),
    ]
    for selector in selectors:
        assert selects(selector, servers)
        assert not any(selects(selector, labels) for labels in others)


def test_the_monitor_finds_the_service(production: Manifests) -> None:
    service, monitor = production.one("Service"), production.one("ServiceMonitor")
    labels = service["metadata"]["labels"]
    assert selects(monitor["spec"]["selector"]["matchLabels"], labels)
    assert labels[monitor["spec"]["jobLabel"]] == "skymill-serving"
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    monitoring = production.of("ConfigMap")[0]["data"]["monitoring.config"]
    assert f'path: "{endpoint["path"]}"' in monitoring


def test_ports_are_the_servers_ports(overlay: Manifests) -> None:
    ports = {port["name"]: port["containerPort"] for port in overlay.server()["ports"]}
    given = flags(overlay)
    assert ports == {"grpc": int(given["port"]), "rest": int(given["rest_api_port"])}
    service = overlay.one("Service")["spec"]["ports"]
    assert {port["name"]: (port["port"], port["targetPort"]) for port in service} == {
        name: (number, name) for name, number in ports.items()
    }
    for rule in overlay.one("NetworkPolicy")["spec"]["ingress"]:
        assert {port["port"] for port in rule["ports"]} <= set(ports)


def test_scaling_is_of_the_deployment(production: Manifests) -> None:
    deployment = production.one("Deployment")
    scaler = production.one("HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert 2 <= scaler["minReplicas"] <= scaler["maxReplicas"]
    # An apply of a number would undo what the autoscaler decided.
    assert "replicas" not in deployment["spec"]
    # Utilisation is a share of the request, so there has to be one in every container.
    for container in template(production)["spec"]["containers"]:
        assert container["resources"]["requests"]["cpu"]
    budget = production.one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] < scaler["minReplicas"]


def test_every_volume_exists_and_every_mount_has_one(
    overlay: Manifests, render: Callable[[str], Manifests]
) -> None:
    maps = {config["metadata"]["name"]: config for config in overlay.of("ConfigMap")}
    claims = {claim["metadata"]["name"] for claim in render("volume").of("PersistentVolumeClaim")}
    for spec in overlay.pod_specs():
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
            if "secret" in volume:
                assert volume["secret"]["secretName"] in SECRETS
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
            assert "hostPath" not in volume
        containers = [*spec.get("initContainers", []), *spec["containers"]]
        mounted = {mount["name"] for one in containers for mount in one["volumeMounts"]}
        assert mounted == set(volumes)


def test_accounts_and_namespaces_agree(
    overlay: Manifests, render: Callable[[str], Manifests]
) -> None:
    accounts = {account["metadata"]["name"] for account in overlay.of("ServiceAccount")}
    assert {spec["serviceAccountName"] for spec in overlay.pod_specs()} <= accounts
    namespace = render("volume").one("Namespace")["metadata"]["name"]
    for resource in overlay.resources:
        if resource["kind"] != "Namespace":
            assert resource["metadata"]["namespace"] == namespace


def test_production_deletes_neither_models_nor_namespace(production: Manifests) -> None:
    assert not production.of("PersistentVolumeClaim") + production.of("Namespace")


def test_labels_are_the_recommended_ones(overlay: Manifests) -> None:
    for labelled in (
        overlay.one("Deployment"),
        overlay.one("Service"),
        template(overlay),
    ):
        keys = {key.removeprefix("app.kubernetes.io/") for key in labelled["metadata"]["labels"]}
        assert keys == RECOMMENDED


def test_the_configuration_is_docker_servings(overlay: Manifests, repository: Path) -> None:
    [volume] = [
        volume for volume in template(overlay)["spec"]["volumes"] if volume["name"] == "config"
    ]
    [config] = [
        config
        for config in overlay.of("ConfigMap")
        if config["metadata"]["name"] == volume["configMap"]["name"]
    ]
    folder = repository / "docker" / "serving"
    assert config["data"] == {path.name: path.read_text() for path in folder.glob("*.config")}
    [mount] = [one for one in overlay.server()["volumeMounts"] if one["name"] == "config"]
    for flag in ("model_config_file", "monitoring_config_file"):
        file = flags(overlay)[flag]
        assert file.removeprefix(mount["mountPath"] + "/") in config["data"]


def test_the_image_is_pinned_and_the_one_of_docker_serving(
    overlay: Manifests, repository: Path
) -> None:
    compose = yaml.safe_load((repository / "docker" / "serving" / "compose.yaml").read_text())
    image = compose["services"]["serving"]["image"]
    assert {container["image"] for container in overlay.containers()} == {image}
    version = overlay.one("Deployment")["metadata"]["labels"]["app.kubernetes.io/version"]
    assert image == f"tensorflow/serving:{version}"


def test_flags_that_both_have_are_the_same(overlay: Manifests, repository: Path) -> None:
    compose = yaml.safe_load((repository / "docker" / "serving" / "compose.yaml").read_text())
    command = compose["services"]["serving"]["command"]
    there = dict(flag.removeprefix("--").split("=", 1) for flag in command)
    here = flags(overlay)
    assert {name: there[name] for name in here.keys() & there.keys()} == {
        name: here[name] for name in here.keys() & there.keys()
    }


@pytest.mark.parametrize(
    ("probe", "path"),
    [
        ("startupProbe", "/v1/models/{}/metadata"),
        ("readinessProbe", "/v1/models/{}/metadata"),
        ("livenessProbe", "/v1/models/{}"),
    ],
)
def test_probes_ask_for_the_model_that_is_served(
    overlay: Manifests, repository: Path, probe: str, path: str
) -> None:
    config = (repository / "docker" / "serving" / "models.config").read_text()
    [name] = re.findall(r'^\s*name: "(.+)"', config, re.MULTILINE)
    request: dict[str, Any] = overlay.server()[probe]["httpGet"]
    assert request == {"path": path.format(name), "port": "rest"}


def test_starting_may_take_longer_than_the_servers_own_attempts(overlay: Manifests) -> None:
    server = overlay.server()
    patience_s = (
        server["startupProbe"]["periodSeconds"] * server["startupProbe"]["failureThreshold"]
    )
    # Five attempts after the first, a minute apart: TensorFlow Serving's defaults.
    assert patience_s > 2 * 5 * 60
    assert overlay.one("Deployment")["spec"]["progressDeadlineSeconds"] > patience_s


def test_batching_is_a_component(repository: Path, render: Callable[[str], Manifests]) -> None:
    for name in ("overlays/local", "overlays/production"):
        assert "enable_batching" not in flags(render(name))
    [patch] = yaml.safe_load(
        (repository / "k8s" / "components" / "batching" / "kustomization.yaml").read_text()
    )["patches"]
    added = [operation["value"] for operation in yaml.safe_load(patch["patch"])]
    assert added == ["--enable_batching=true", "--batching_parameters_file=/config/batching.config"]


def test_the_documented_settings_of_ones_own(repository: Path, tmp_path: Path) -> None:
    text = (repository / "docs" / "kubernetes.md").read_text()
    [example] = re.findall(r"```yaml\n(# own/kustomization.yaml\n.*?)```", text, re.DOTALL)
    (tmp_path / "skymill").symlink_to(repository)
    own = tmp_path / "own"
    own.mkdir()
    (own / "kustomization.yaml").write_text(example)
    (own / "models.config").write_text("roofs")
    result = render_folder(own)
    assert {container["image"] for container in result.containers()} == {
        "tensorflow/serving@sha256:" + 64 * "0"
    }
    assert flags(result)["enable_batching"] == "true"
    volumes = {volume["name"]: volume for volume in template(result)["spec"]["volumes"]}
    name = volumes["config"]["configMap"]["name"]
    [config] = [one for one in result.of("ConfigMap") if one["metadata"]["name"] == name]
    assert config["data"]["models.config"] == "roofs"
    assert "enable: true" in config["data"]["monitoring.config"]
    probes = [value for key, value in result.server().items() if key.endswith("Probe")]
    assert all("/roofs" in probe["httpGet"]["path"] for probe in probes)
