"""A real API server accepts the manifests of k8s/: types, fields, admission and rights."""

from collections.abc import Callable

import pytest
import yaml

from tests.backend.cluster import Cluster
from tests.k8s.conftest import ROOTS, Manifests
from tests.k8s.test_schemas import CUSTOM

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("name", ROOTS)
def test_every_folder_passes_a_strict_dry_run(
    cluster: Cluster, render: Callable[[str], Manifests], name: str
) -> None:
    """Except for the types of operators that have no Go module with their definitions.

    Accounts are applied, since admission looks up that of a bare pod.
    """
    cluster.apply(*render(name).of("ServiceAccount"))
    known = [
        one
        for one in render(name).resources
        if one["kind"] not in CUSTOM.get(one["apiVersion"], set())
    ]
    text = yaml.safe_dump_all(known)
    strict = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    done = cluster.kubectl(*strict, given=text)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert len(done.stdout.splitlines()) == len(known)


def test_a_strict_dry_run_does_refuse(cluster: Cluster, render: Callable[[str], Manifests]) -> None:
    broken = yaml.safe_load(yaml.safe_dump(render("overlays/local").one("Deployment")))
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    strict = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    done = cluster.kubectl(*strict, given=yaml.safe_dump(broken))
    assert done.returncode == 1
    assert "readinesProbe" in done.stderr


@pytest.mark.parametrize("name", ["overlays/local", "overlays/production", "overlays/bucket"])
def test_pods_are_admitted_where_the_restricted_standard_is_enforced(
    cluster: Cluster, render: Callable[[str], Manifests], name: str
) -> None:
    """A Deployment is only warned of; its pods are what admission refuses."""
    manifests = render(name)
    cluster.apply(render("volume").one("Namespace"))
    cluster.apply(*manifests.of("ServiceAccount"))
    for number, spec in enumerate(manifests.pod_specs()):
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
        pod["metadata"] = {"name": f"pod-{number}", "namespace": "skymill"}
        done = cluster.kubectl("create", "--dry-run=server", "-f", "-", given=yaml.safe_dump(pod))
        assert done.returncode == 0, done.stderr
    spec["hostNetwork"] = True
    refused = cluster.kubectl("create", "--dry-run=server", "-f", "-", given=yaml.safe_dump(pod))
    assert "violates PodSecurity" in refused.stderr
