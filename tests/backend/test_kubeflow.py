"""Runs on Kubeflow Pipelines itself."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipelines.cli.main import cli
from pipelines.kubeflow import connect
from tests.backend.argo import configure
from tests.backend.cluster import Cluster
from tests.backend.database import database_program
from tests.backend.kubeflow import LOGS, PROGRAMS, SETTINGS, Kubeflow, kubeflow
from tests.backend.kubelet import unable
from tests.backend.processes import absent
from tests.k8s.conftest import Manifests
from tests.kubeflow.land_cover import make_images, package
from tests.kubeflow.tiny import submission, tiny_spec

pytestmark = pytest.mark.backend

Json = dict[str, Any]

# Where the pods of the pipeline have their volume.
VOLUME = Path("/mnt/skymill")
WAIT_S = 1800
_FAILS_TWICE = 'import os; assert int(os.environ["KFP_RETRY_INDEX"]) == 2'


@pytest.fixture(scope="module")
def installation(
    cluster: Cluster,
    tools: Path,
    kubeflow_programs: Path,
    repository: Path,
    render: Callable[[str], Manifests],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kubeflow]:
    """Kubeflow Pipelines, with images on a volume."""
    if reason := unable(cluster) or absent(tools, "workflow-controller", "argoexec"):
        pytest.skip(reason)
    if not all((kubeflow_programs / name).exists() for name in PROGRAMS):
        pytest.skip(f"needs {', '.join(PROGRAMS)}: make backend KUBEFLOW=folder")
    if not database_program():
        pytest.skip("needs mariadbd")
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        cluster.apply(*render("pipeline").of(kind))
    folder = tmp_path_factory.mktemp("kubeflow")
    with kubeflow(cluster, tools, kubeflow_programs, repository, folder) as found:
        make_images(found.kubelet.claims / "data" / "images")
        yield found


@contextmanager
def without_default(installation: Kubeflow) -> Iterator[None]:
    """Argo's controller as releases before 2.17.0 configure it."""
    configure(installation.cluster, {"artifactRepository": LOGS})
    try:
        yield
    finally:
        configure(installation.cluster, SETTINGS)


def skymill(installation: Kubeflow, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--endpoint", installation.endpoint])


def followed(installation: Kubeflow, path: Path, text: str) -> tuple[int, Json]:
    """Runs a package; the exit code of `skymill follow`, and what it prints."""
    path.write_text(text)
    run_id = connect(installation.endpoint).submit(str(path)).run_id
    wait = ("--timeout", str(WAIT_S), "--metadata", installation.metadata, "--json")
    done = skymill(installation, "follow", run_id, *wait)
    return done.exit_code, json.loads(done.stdout)


def versions(installation: Kubeflow) -> list[str]:
    folder = installation.kubelet.claims / "data" / "models" / "land_cover"
    return sorted(path.name for path in folder.iterdir() if path.name.isdigit())


def test_a_run_of_two_steps(installation: Kubeflow) -> None:
    state = connect(installation.endpoint).submit(submission()).follow(timeout_s=WAIT_S)
    assert state.state == "SUCCEEDED"
    assert state.steps == {"first": "SUCCEEDED", "second": "SUCCEEDED"}


def test_a_step_fails_twice_and_then_succeeds(installation: Kubeflow) -> None:
    """Kubeflow tells a step which attempt it is."""
    spec = tiny_spec("only")
    container = spec["deploymentSpec"]["executors"]["exec-only"]["container"]
    container["command"] = ["python", "-c", _FAILS_TWICE]
    policy = {"maxRetryCount": 2, "backoffDuration": "1s", "backoffMaxDuration": "600s"}
    spec["root"]["dag"]["tasks"]["only"]["retryPolicy"] = policy
    session = connect(installation.endpoint)
    with without_default(installation):
        state = session.submit(submission(spec)).follow(timeout_s=WAIT_S)
    assert (state.state, state.steps) == ("SUCCEEDED", {"only": "SUCCEEDED"})
    state = session.submit(submission(spec)).follow(timeout_s=WAIT_S)
    assert state.state == "FAILED", "with the default of 2.17.0 a failure is not repeated"
    [failed] = state.failed
    assert "AssertionError" in failed.reason


def test_the_whole_pipeline_pushes_a_version(installation: Kubeflow, tmp_path: Path) -> None:
    code, told = followed(installation, tmp_path / "package.yaml", package(VOLUME))
    assert (code, told["state"]) == (0, "SUCCEEDED"), told
    assert set(told["steps"].values()) == {"SUCCEEDED"}
    assert len(told["steps"]) == 17
    assert versions(installation) == ["1"]
    assert 0 < told["metrics"]["accuracy"] <= 1
