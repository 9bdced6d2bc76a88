"""Argo's executor in pods that run as processes: outputs, exit codes, retries."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backend.argo import workflow_controller
from tests.backend.cluster import Cluster
from tests.backend.kubelet import Kubelet, node, unable
from tests.backend.processes import absent, until
from tests.k8s.conftest import Manifests

pytestmark = pytest.mark.backend

Json = dict[str, Any]

_API = "argoproj.io/v1alpha1"


@pytest.fixture(scope="module")
def kubelet(
    cluster: Cluster,
    tools: Path,
    render: Callable[[str], Manifests],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kubelet]:
    """A node, and a controller for its pods."""
    if reason := unable(cluster) or absent(tools, "workflow-controller", "argoexec"):
        pytest.skip(reason)
    cluster.apply(*render("pipeline").accounts())
    folder = tmp_path_factory.mktemp("node")
    with node(cluster, folder, [tools]) as found, workflow_controller(cluster, tools, folder, {}):
        yield found


def begin(kubelet: Kubelet, *templates: Json) -> str:
    """Starts a workflow whose last template is its entry point; returns its name."""
    api = kubelet.cluster.admin()
    name = f"executor-{time.monotonic_ns()}"
    spec = {"entrypoint": templates[-1]["name"], "serviceAccountName": "skymill-steps"}
    metadata = {"name": name}
    body = {"apiVersion": _API, "kind": "Workflow", "metadata": metadata}
    api.create(api.path(_API, "workflows"), {**body, "spec": {**spec, "templates": [*templates]}})
    return name


def ended(kubelet: Kubelet, name: str, seconds: float = 120) -> Json:
    """The status of a workflow at its end."""
    api = kubelet.cluster.admin()

    def status() -> Json:
        found = api.find(api.path(_API, "workflows", name)) or {}
        known: Json = found.get("status") or {}
        return known if known.get("phase") in ("Succeeded", "Failed", "Error") else {}

    found: Json = until(status, seconds)
    return found


def step(name: str, script: str, **more: Any) -> Json:
    command = {"image": "any", "command": ["sh", "-c", script]}
    return {"name": name, "container": command, **more}


def phases(status: Json) -> list[str]:
    """Returns the phases of the pods, in the order of their start."""
    found = [one for one in status["nodes"].values() if one["type"] == "Pod"]
    return [one["phase"] for one in sorted(found, key=lambda one: (one["startedAt"], one["name"]))]


def test_what_one_step_writes_another_is_given(kubelet: Kubelet) -> None:
    output = {"name": "said", "valueFrom": {"path": "/tmp/outputs/said"}}
    script = "mkdir -p /tmp/outputs && printf hello >/tmp/outputs/said"
    first = step("first", script, outputs={"parameters": [output]})
    script = "echo {{inputs.parameters.said}} >/claim/heard; sleep 2"
    second = step("second", script, inputs={"parameters": [{"name": "said"}]})
    second["container"]["volumeMounts"] = [{"name": "claim", "mountPath": "/claim"}]
    second["volumes"] = [{"name": "claim", "persistentVolumeClaim": {"claimName": "heard"}}]
    given = {"parameters": [{"name": "said", "value": "{{tasks.one.outputs.parameters.said}}"}]}
    tasks = [
        {"name": "one", "template": "first"},
        {"name": "two", "template": "second", "dependencies": ["one"], "arguments": given},
    ]
    graph = {"name": "graph", "dag": {"tasks": tasks}}
    status = ended(kubelet, begin(kubelet, first, second, graph))
    assert status["phase"] == "Succeeded", status
    assert (kubelet.claims / "heard" / "heard").read_text() == "hello\n"


def test_the_executor_reports_exit_codes_and_argo_retries(kubelet: Kubelet) -> None:
    failing = step("step", "[ {{retries}} = 2 ] || exit 3", retryStrategy={"limit": "2"})
    status = ended(kubelet, begin(kubelet, failing))
    assert phases(status) == ["Failed", "Failed", "Succeeded"]
    nodes = [one for one in status["nodes"].values() if one["type"] == "Pod"]
    assert sorted(one["outputs"]["exitCode"] for one in nodes) == ["0", "3", "3"]
