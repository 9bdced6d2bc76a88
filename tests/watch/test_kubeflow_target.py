"""Runs on Kubeflow: submitted once for each key to a stand-in of its API server."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.raster.errors import SkymillError
from pipelines.config.tree import parse_config
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.client.submission import Submission
from pipelines.watch.kubeflow_target import KubeflowTarget, compile_apart
from pipelines.watch.opening import open_target
from pipelines.watch.state_store import load
from pipelines.watch.target import RunEnd, StartError
from pipelines.watch.transitions import Rules
from pipelines.watch.watcher import Watcher
from tests.kubeflow.api_server.server import Api, api_server
from tests.watch.world import Clock, Data, MemoryStore

GOLDEN = Path("tests/golden")


@dataclass
class Cluster:
    api: Api
    target: KubeflowTarget


@pytest.fixture
def cluster(repository: Path) -> Iterator[Cluster]:
    with api_server() as api:
        server = KubeflowServer(Connection(api.url))
        package = str(repository / GOLDEN / "kubeflow_package.yaml")
        yield Cluster(api, KubeflowTarget(server, "skymill.yaml", package))


def test_a_run_is_found_by_its_key_and_seen_to_end(cluster: Cluster) -> None:
    target, runs = cluster.target, cluster.api.store.runs
    assert target.find("land-1") is None
    run_id = target.start("land-1", print)
    assert target.find("land-1") == run_id
    assert target.find("land-12") is None
    assert target.ended(run_id) is None
    runs[run_id]["state"] = "FAILED"
    assert target.ended(run_id) == RunEnd("failed")
    del runs[run_id]
    assert target.ended(run_id) == RunEnd("gone")


def test_the_data_are_left_to_the_runs_first_step(cluster: Cluster) -> None:
    run_id = cluster.target.start("land-1", print)
    run = cluster.api.store.runs[run_id]
    assert "data_fingerprint" not in run.get("runtime_config", {}).get("parameters", {})
    assert run["service_account"] == "skymill-steps"


@pytest.mark.parametrize(
    ("named", "right"),
    [({}, "skymill-steps"), ({"service_account": "default-editor"}, "default-editor")],
)
def test_the_steps_run_as_the_account_that_the_configuration_names(
    repository: Path, named: dict[str, str], right: str
) -> None:
    package = str(repository / GOLDEN / "kubeflow_package.yaml")
    tree = {
        "name": "land",
        "ingest": {"source": {"kind": "folders", "uri": "images"}},
        "push": {"model_dir": "models"},
        "watch": {"target": "kubeflow", "package": package, **named},
    }
    config = parse_config(tree, base_dir="/")
    with api_server() as api:
        target = open_target(config, "skymill.yaml", {"SKYMILL_KFP_ENDPOINT": api.url})
        target.start("land-1", print)
        [run] = api.store.runs.values()
    assert run["service_account"] == right


def test_a_watch_of_predictions_does_not_submit_the_package_of_the_training(
    repository: Path,
) -> None:
    package = str(repository / GOLDEN / "kubeflow_package.yaml")
    with api_server() as api:
        server = KubeflowServer(Connection(api.url))
        target = KubeflowTarget(server, "skymill.yaml", package, kind="prediction")
        with pytest.raises(StartError, match="is not the package of the prediction pipeline"):
            target.start("land-1", print)
        assert not api.store.runs


def test_the_right_to_start_is_asked_for_when_only_one_request_is_left(cluster: Cluster) -> None:
    requests, before = cluster.api.requests, []
    cluster.target.start("land-1", lambda: before.append(len(requests)))
    assert before == [len(requests) - 1]
    assert requests[-1] == "POST /apis/v2beta1/runs"

    def refuse() -> None:
        raise StartError("the lease is over")

    with pytest.raises(StartError, match="the lease is over"):
        cluster.target.start("land-2", refuse)
    assert len(cluster.api.store.runs) == 1


def test_a_run_that_another_started_while_a_package_was_brought_is_found(cluster: Cluster) -> None:
    mine, other = cluster.target, KubeflowServer(Connection(cluster.api.url))
    version = mine._server.catalogue.version
    theirs = []

    def slow(package: Submission) -> object:
        theirs.append(other.submit(package, key="land-1"))
        return version(package)

    mine._server.catalogue.version = slow  # type: ignore[method-assign,assignment]
    assert mine.start("land-1", print) == theirs[0]
    assert list(cluster.api.store.runs) == theirs


def test_a_start_whose_answer_was_lost_is_found_and_not_repeated(cluster: Cluster) -> None:
    """End to end: the server has created the run, but the connection breaks before its answer."""
    clock, store, data = Clock(), MemoryStore(), Data()
    target = cluster.target
    watcher = Watcher("land", data, store, target, Rules(120, 300), clock=clock, draw=lambda: 0.5)
    submit = target._server.submit

    def lose(*arguments: object, **given: object) -> str:
        submit(*arguments, **given)  # type: ignore[arg-type]
        raise TimeoutError("read timed out")

    target._server.submit = lose  # type: ignore[method-assign,assignment]
    watcher.step()
    clock.now += 120
    state = watcher.step()
    assert state.active is not None
    assert state.active.error == "TimeoutError: read timed out"
    target._server.submit = submit  # type: ignore[method-assign]
    clock.now += 30
    watcher.step()
    assert len(cluster.api.store.runs) == 1
    active = load(store).active
    assert active is not None
    assert active.run_id in cluster.api.store.runs


def test_a_server_that_is_down_is_tried_again(cluster: Cluster) -> None:
    clock, store, data = Clock(), MemoryStore(), Data()
    watcher = Watcher(
        "land", data, store, cluster.target, Rules(120, 300), clock=clock, draw=lambda: 0.5
    )
    watcher.step()
    clock.now += 120
    cluster.api.broken = 100
    state = watcher.step()
    assert state.active is not None
    assert "answered 503" in state.active.error
    cluster.api.broken = 0
    clock.now += 30
    watcher.step()
    [run] = cluster.api.store.runs.values()
    assert run["display_name"] == "land-a"
    run["state"] = "SUCCEEDED"
    watcher.step()
    cluster.api.broken = 1
    assert load(store).active is None
    data.hold("b")
    watcher.step()
    clock.now += 120
    watcher.step()
    clock.now += 30
    watcher.step()
    assert len(cluster.api.store.runs) == 2


@pytest.mark.slow
def test_a_configuration_that_does_not_compile_is_a_start_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repository))
    with pytest.raises(StartError, match="skymill compile: .*cannot be read"):
        compile_apart(str(tmp_path / "none.yaml"), tmp_path / "package.yaml")


@pytest.mark.slow
def test_a_configuration_is_compiled_in_a_process_of_its_own(
    cluster: Cluster, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repository))
    config = str(repository / GOLDEN / "kubeflow.yaml")
    server = KubeflowServer(Connection(cluster.api.url))
    run_id = KubeflowTarget(server, config, None).start("land-1", print)
    assert run_id in cluster.api.store.runs
    with pytest.raises(SkymillError):
        KubeflowTarget(server, config, str(repository / "none.yaml")).start("land-2", print)
