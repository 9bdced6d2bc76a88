"""Runs on Kubeflow Pipelines itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.kubeflow import connect
from tests.backend.argo import configure
from tests.backend.cluster import Cluster
from tests.backend.database import database_program
from tests.backend.kubeflow import LOGS, PROGRAMS, SETTINGS, Kubeflow, kubeflow
from tests.backend.kubelet import unable
from tests.backend.processes import absent
from tests.k8s.conftest import Manifests
from tests.kubeflow.tiny import submission, tiny_spec

pytestmark = pytest.mark.backend

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
    """Kubeflow Pipelines."""
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
        yield found


@contextmanager
def without_default(installation: Kubeflow) -> Iterator[None]:
    """Argo's controller as releases before 2.17.0 configure it."""
    configure(installation.cluster, {"artifactRepository": LOGS})
    try:
        yield
    finally:
        configure(installation.cluster, SETTINGS)


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
