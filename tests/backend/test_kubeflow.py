"""Runs on Kubeflow Pipelines itself."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ml_metadata import MetadataStore
from ml_metadata.proto.metadata_store_pb2 import Execution, MetadataStoreClientConfig

from pipelines.cli.main import cli
from pipelines.kubeflow import connect
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.server import KubeflowServer
from tests.backend.argo import configure
from tests.backend.cluster import Cluster
from tests.backend.database import database_program
from tests.backend.kubeflow import LOGS, PROGRAMS, SETTINGS, Kubeflow, kubeflow
from tests.backend.kubelet import unable
from tests.backend.processes import absent, until
from tests.k8s.conftest import Manifests
from tests.kubeflow.land_cover import IMAGES, make_images, package
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


def cached(installation: Kubeflow, run_id: str) -> set[str]:
    """The steps that a run took from the cache, as the driver notes them in ML Metadata."""
    host, _, port = installation.metadata.partition(":")
    store = MetadataStore(MetadataStoreClientConfig(host=host, port=int(port)))
    context = store.get_context_by_type_and_name("system.PipelineRun", run_id)
    return {
        one.custom_properties["task_name"].string_value
        for one in store.get_executions_by_context(context.id)
        if one.last_known_state == Execution.CACHED
    }


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


def test_a_gate_blocks_a_run_and_the_next_one_takes_the_data_from_the_cache(
    installation: Kubeflow, tmp_path: Path
) -> None:
    """Half of the photographs of a class are broken, so the gate on rejects blocks both runs."""
    broken = installation.kubelet.claims / "data" / "broken"
    make_images(broken)
    for number in range(IMAGES // 2):
        (broken / "roof" / f"{number}.png").write_bytes(b"no image")
    path = tmp_path / "package.yaml"
    path.write_text(package(VOLUME))
    location = f"data_location={VOLUME}/broken"
    words = ("-p", str(path), "--set", location, "--follow", "--timeout", str(WAIT_S), "--json")
    for expected in (set(), {"ingest"}):
        done = skymill(installation, "submit", *words)
        assert done.exit_code == 3, done.output
        told = json.loads(done.stdout)
        assert (told["state"], told["blocked"]) == ("FAILED", True)
        [failed] = told["failed"]
        assert failed["step"] == "stop-on-rejects"
        assert failed["reason"].startswith("GateFailed: gate 'rejects' blocked the run")
        assert told["steps"]["ingest"] == "SUCCEEDED"
        assert told["steps"]["trainer"] == "SKIPPED"
        assert cached(installation, told["run_id"]) == expected
    shown = skymill(installation, "runs", "show", told["run_id"]).output
    assert f"failed: stop-on-rejects: {failed['reason']}" in shown


def test_a_schedule_starts_a_run(installation: Kubeflow, tmp_path: Path) -> None:
    path = tmp_path / "package.yaml"
    path.write_text(submission().text)
    server = KubeflowServer(Connection(installation.endpoint))
    known = {one.run_id for one in server.newest_runs(100)}

    def begun() -> list[str]:
        return [one.run_id for one in server.newest_runs(100) if one.run_id not in known]

    words = ("-p", str(path), "--cron", "*/10 * * * * *")
    done = skymill(installation, "schedule", "create", "often", *words)
    assert done.exit_code == 0, done.output
    [run_id] = until(begun, 120)
    done = skymill(installation, "schedule", "disable", "often")
    assert done.exit_code == 0, done.output
    done = skymill(installation, "follow", run_id, "--timeout", str(WAIT_S))
    assert done.exit_code == 0, done.output
    assert begun() == [run_id], "a schedule that is off starts no more"
    done = skymill(installation, "schedule", "delete", "often")
    assert done.exit_code == 0, done.output
    assert "often" not in skymill(installation, "schedule", "list").output
