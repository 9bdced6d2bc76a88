"""`skymill doctor` against Kubeflow Pipelines itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.backend.kubeflow.calls import VOLUME, without_default
from tests.backend.kubeflow.installation import STORE, Kubeflow, expose
from tests.kubeflow.land_cover import tree

pytestmark = pytest.mark.backend


@pytest.fixture
def kubeconfig(installation: Kubeflow, tmp_path: Path) -> Path:
    """A configuration of kubectl's whose current context is that of the cluster."""
    done = installation.cluster.kubectl("config", "view", "--minify", "--flatten")
    path = tmp_path / "kubeconfig"
    path.write_text(done.stdout)
    return path


def examined(
    installation: Kubeflow, kubeconfig: Path, claim: str = "data"
) -> dict[str, tuple[str, str]]:
    """Returns the findings of `skymill doctor` for a configuration with a claim, by check.

    In a process of its own: Kubernetes' client reads KUBECONFIG when it is imported.
    """
    given = tree(VOLUME, image=installation.image)
    given["kubeflow"]["steps"]["volumes"] = [{"claim": claim, "path": str(VOLUME)}]
    config = kubeconfig.with_name("skymill.yaml")
    config.write_text(yaml.safe_dump(given))
    words = ["doctor", "-c", str(config), "--endpoint", installation.endpoint, "--json"]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    command = [sys.executable, "-m", "pipelines.cli", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert done.returncode == any(one["state"] == "failed" for one in found)
    return {one["check"]: (one["state"], one["detail"]) for one in found}


def failed(found: dict[str, tuple[str, str]]) -> set[str]:
    return {check for check, (state, _) in found.items() if state == "failed"}


def test_an_installation_is_checked_before_the_first_run(
    installation: Kubeflow, kubeconfig: Path
) -> None:
    found = examined(installation, kubeconfig)
    store = "with ML Metadata" if installation.metadata else "without ML Metadata"
    assert store in found["version"][1]
    assert found["claims"] == ("ok", "data is bound")
    assert found["account"] == ("ok", "skymill-steps")
    assert found["retries"][0] == "warning", "2.17.0 repeats no failures"
    assert found["pipeline root"][0] == "ok"
    if installation.cluster.own:
        assert found["images"][0] == "unknown", "no registry can be reached from here"
        assert found["pipeline root"][1] == f"minio://mlpipeline: {STORE} is ready"
    others = {check: state for check, (state, _) in found.items()}
    del others["images"], others["retries"]
    assert set(others.values()) == {"ok"}, found
    with without_default(installation):
        assert examined(installation, kubeconfig)["retries"][0] == "warning", "no lost pods"


def test_a_missing_claim_and_store_are_found(installation: Kubeflow, kubeconfig: Path) -> None:
    assert failed(examined(installation, kubeconfig, claim="absent")) == {"claims"}
    if not installation.cluster.own:
        pytest.skip("the store of an installation stays where it is")
    done = installation.cluster.kubectl("delete", "--namespace=kubeflow", "endpoints", STORE)
    assert done.returncode == 0, done.stderr
    try:
        assert failed(examined(installation, kubeconfig)) == {"pipeline root"}
    finally:
        expose(installation.cluster, STORE)
