"""`skymill doctor` against Kubeflow Pipelines itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.backend.kubeflow.calls import VOLUME, without_default
from tests.backend.kubeflow.installation import STORE, Kubeflow
from tests.kubeflow.land_cover import tree

pytestmark = pytest.mark.backend


def bind(installation: Kubeflow, name: str) -> None:
    """A claim as the controller of volumes leaves it."""
    metadata = {"name": name, "namespace": "kubeflow"}
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    installation.cluster.apply({**kind, "metadata": metadata, "spec": spec})
    words = ("patch", "pvc", name, "--subresource=status", "--type=merge", "--patch")
    done = installation.cluster.kubectl(*words, '{"status": {"phase": "Bound"}}')
    assert done.returncode == 0, done.stderr


def expose(installation: Kubeflow, name: str) -> None:
    """The addresses of a service as the controller of endpoints writes them."""
    metadata = {"name": name, "namespace": "kubeflow"}
    subsets = [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 9000}]}]
    kind = {"apiVersion": "v1", "kind": "Endpoints"}
    installation.cluster.apply({**kind, "metadata": metadata, "subsets": subsets})


def test_an_installation_is_checked_before_the_first_run(
    installation: Kubeflow, tmp_path: Path
) -> None:
    """In a process of its own: Kubernetes' client reads KUBECONFIG when it is imported."""
    environment = {**os.environ, "KUBECONFIG": str(installation.cluster.kubeconfig)}
    config = tmp_path / "skymill.yaml"
    config.write_text(yaml.safe_dump(tree(VOLUME)))

    def doctor() -> dict[str, tuple[str, str]]:
        words = ["doctor", "-c", str(config), "--endpoint", installation.endpoint, "--json"]
        command = [sys.executable, "-m", "pipelines.cli", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        found = json.loads(done.stdout)
        assert done.returncode == any(one["state"] == "failed" for one in found)
        return {one["check"]: (one["state"], one["detail"]) for one in found}

    found = doctor()
    assert {check for check, (state, _) in found.items() if state == "failed"} == {
        "pipeline root",
        "claims",
    }
    bind(installation, "data")
    expose(installation, STORE)
    found = doctor()
    store = "with ML Metadata" if installation.metadata else "without ML Metadata"
    assert store in found["version"][1]
    assert found["pipeline root"] == ("ok", f"minio://mlpipeline: {STORE} is ready")
    assert found["claims"] == ("ok", "data is bound")
    assert found["account"] == ("ok", "skymill-steps")
    assert found["images"][0] == "unknown", "no registry can be reached from here"
    assert found["retries"][0] == "warning", "2.17.0 repeats no failures"
    others = {check: state for check, (state, _) in found.items()}
    del others["images"], others["retries"]
    assert set(others.values()) == {"ok"}, found
    with without_default(installation):
        assert doctor()["retries"][0] == "warning", "an older release repeats no lost pods"
