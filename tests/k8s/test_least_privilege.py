"""Pods have few rights and accept few connections."""

from collections.abc import Callable

import pytest

from tests.k8s.conftest import Manifests


def test_pods_meet_the_restricted_standard(overlay: Manifests) -> None:
    for spec in overlay.pod_specs():
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] > 0
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in overlay.containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container.get("ports", []))


def test_the_namespace_enforces_it(render: Callable[[str], Manifests]) -> None:
    labels = render("volume").one("Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_container_has_requests_and_a_memory_limit(overlay: Manifests) -> None:
    for container in overlay.containers():
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert container["resources"]["limits"]["memory"]


def test_the_server_cannot_write_models(overlay: Manifests) -> None:
    spec = overlay.one("Deployment")["spec"]["template"]["spec"]
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == "models"]
    assert volume["persistentVolumeClaim"]["readOnly"] is True
    writable = {
        mount["name"] for mount in overlay.server()["volumeMounts"] if not mount.get("readOnly")
    }
    assert writable == {"tmp"}


def test_no_account_may_ask_the_cluster_anything(overlay: Manifests) -> None:
    assert all(
        account["automountServiceAccountToken"] is False for account in overlay.of("ServiceAccount")
    )
    assert not [one for one in overlay.resources if "Role" in one["kind"]]


def test_no_secret_lies_in_the_repository(manifests: Manifests) -> None:
    assert manifests.of("Secret") == []


def test_nothing_goes_out(overlay: Manifests) -> None:
    policy = overlay.one("NetworkPolicy")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["egress"] == []


@pytest.mark.parametrize(
    ("name", "clients"),
    [("overlays/local", {"grpc", "rest"}), ("overlays/production", {"grpc"})],
)
def test_only_labelled_namespaces_and_prometheus_come_in(
    render: Callable[[str], Manifests], name: str, clients: set[str]
) -> None:
    by_clients, by_prometheus = render(name).one("NetworkPolicy")["spec"]["ingress"]
    [who] = by_clients["from"]
    assert who == {"namespaceSelector": {"matchLabels": {"serving.skymill/client": "true"}}}
    assert {port["port"] for port in by_clients["ports"]} == clients
    [who] = by_prometheus["from"]
    # One entry with both: pods of that name in that namespace, not either.
    assert set(who) == {"namespaceSelector", "podSelector"}
    assert who["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "prometheus"}
    assert [port["port"] for port in by_prometheus["ports"]] == ["rest"]


def test_the_service_is_not_public(overlay: Manifests) -> None:
    assert overlay.one("Service")["spec"]["type"] == "ClusterIP"
