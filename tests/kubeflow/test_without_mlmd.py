"""A server without ML Metadata: its tasks tell states, reasons and metrics by themselves."""

import json
from collections.abc import Iterator

import pytest
import yaml
from click.testing import CliRunner

from components.raster.errors import ConfigError
from pipelines.cli.main import cli
from pipelines.kubeflow import connect
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.run_state import FailedStep
from pipelines.kubeflow.client.server import KubeflowServer
from tests.kubeflow.api_server.engine import KILLED, KILLED_MESSAGE
from tests.kubeflow.api_server.server import Api, api_server
from tests.kubeflow.api_server.store import Store
from tests.kubeflow.tiny import submission, tiny_spec

BLOCKED = "GateFailed: gate 'evaluation' blocked the run: 1 of 3 failed"


@pytest.fixture
def api() -> Iterator[Api]:
    with api_server(Store(mlmd=False)) as running:
        yield running


@pytest.fixture
def server(api: Api) -> KubeflowServer:
    return KubeflowServer(Connection(api.url))


def started(server: KubeflowServer, *steps: str, gates: tuple[str, ...] = ()) -> str:
    return server.submit(submission(tiny_spec(*steps, gates=gates)))


def test_steps_are_the_packages_tasks_and_a_cached_one_has_succeeded(
    server: KubeflowServer, api: Api
) -> None:
    run_id = started(server)
    assert server.run_state(run_id).steps == {}
    api.store.set_state(run_id, "RUNNING", {"first": "CACHED", "second": "RUNNING"})
    state = server.run_state(run_id)
    assert state.steps == {"first": "SUCCEEDED", "second": "RUNNING"}
    assert (state.cached, state.ended) == (("first",), False)


def test_the_log_is_that_of_the_pod_that_the_task_names(server: KubeflowServer, api: Api) -> None:
    run_id = started(server)
    steps = {"first": "SUCCEEDED", "second": "FAILED"}
    api.store.set_state(run_id, "FAILED", steps, {"second": "DataError: no image\n"})
    api.requests.clear()
    assert server.run_state(run_id).failed == (FailedStep("second", "DataError: no image"),)
    assert len([line for line in api.requests if line.endswith("/log")]) == 1


def test_a_step_that_has_not_begun_when_the_run_ends_is_skipped(
    server: KubeflowServer, api: Api
) -> None:
    """It has no task: its driver would have made one."""
    run_id = started(server)
    steps = {"first": "FAILED", "second": "SKIPPED"}
    api.store.set_state(run_id, "RUNNING", {"first": "RUNNING", "second": "SKIPPED"})
    assert server.run_state(run_id).steps == {"first": "RUNNING"}
    api.store.set_state(run_id, "FAILED", steps)
    assert server.run_state(run_id).steps == steps


def test_a_step_that_was_killed_has_failed_with_the_engines_message(
    server: KubeflowServer, api: Api
) -> None:
    """Its launcher reported neither an end nor its pod."""
    run_id = started(server)
    steps = {"first": "SUCCEEDED", "second": KILLED}
    api.store.set_state(run_id, "FAILED", steps, {"second": "epoch 3\n"})
    state = server.run_state(run_id)
    assert state.steps == {"first": "SUCCEEDED", "second": "FAILED"}
    assert state.failed == (FailedStep("second", KILLED_MESSAGE),)
    assert state.settled
    assert server.step_logs(run_id) == {"second": "epoch 3\n"}


def test_a_running_step_has_a_log(server: KubeflowServer, api: Api) -> None:
    run_id = started(server)
    api.store.set_state(run_id, "RUNNING", {"first": "RUNNING"}, {"first": "epoch 3\n"})
    assert server.step_logs(run_id, "first") == {"first": "epoch 3\n"}


@pytest.mark.parametrize(
    ("message", "reason", "blocked"),
    [
        ("failed to execute component: exit status 1", "", True),
        ("failed to execute component: signal: killed", None, False),
        ("failed to get launcher configmap: forbidden", None, False),
    ],
)
def test_the_launchers_message_stands_in_for_a_lost_log_if_it_says_more_than_failed(
    server: KubeflowServer, api: Api, message: str, reason: str | None, blocked: bool
) -> None:
    run_id = started(server, "train", "check", gates=("check",))
    api.store.set_state(run_id, "FAILED", {"check": "FAILED"})
    api.store.tasks[run_id][-1]["status_metadata"] = {"message": message}
    state = server.run_state(run_id)
    assert state.failed[0].reason == (message if reason is None else reason)
    assert state.blocked is blocked


def test_a_blocked_run_ends_follow_with_three_and_a_failed_one_with_one(
    server: KubeflowServer, api: Api
) -> None:
    run_id = started(server, "train", "check", gates=("check",))
    api.store.set_state(run_id, "FAILED", {"check": "FAILED"}, {"check": BLOCKED})
    done = CliRunner().invoke(cli, ["follow", run_id, "--endpoint", api.url])
    assert done.exit_code == 3, done.output
    assert f"failed: check: {BLOCKED}" in done.output
    api.store.set_state(run_id, "FAILED", {"train": "FAILED"}, {"train": "MemoryError"})
    done = CliRunner().invoke(cli, ["follow", run_id, "--endpoint", api.url])
    assert done.exit_code == 1, done.output


def test_metrics_need_no_address_of_a_metadata_store(server: KubeflowServer, api: Api) -> None:
    run_id = started(server)
    steps = {"first": "SUCCEEDED", "second": "SUCCEEDED"}
    metrics = {"log_loss": 0.5, "accuracy": 0.75, "worst": 0.0}
    api.store.set_state(run_id, "SUCCEEDED", steps, metrics=metrics)
    expected = {"accuracy": 0.75, "log_loss": 0.5, "worst": 0.0}
    assert server.metrics(run_id) == expected
    done = CliRunner().invoke(cli, ["follow", run_id, "--json", "--endpoint", api.url])
    assert json.loads(done.output)["metrics"] == expected


def test_an_older_server_asks_for_the_address() -> None:
    with api_server() as api:
        run = connect(api.url).submit(submission())
        api.store.set_state(run.run_id, "SUCCEEDED", {"first": "SUCCEEDED"})
        with pytest.raises(ConfigError, match="metadata-grpc-service"):
            run.metrics()
        done = CliRunner().invoke(cli, ["follow", run.run_id, "--json", "--endpoint", api.url])
        assert (done.exit_code, json.loads(done.output)["metrics"]) == (0, None)


def test_the_package_of_a_run_is_in_its_answer_or_its_version(
    server: KubeflowServer, api: Api
) -> None:
    """A full view prefers the package's text, and refers to the version beside it."""
    run_id = started(server)
    run = api.store.runs[run_id]
    run["pipeline_spec"] = yaml.safe_load(yaml.safe_dump(tiny_spec()))
    del run["pipeline_version_reference"]
    api.store.set_state(run_id, "RUNNING", {"first": "RUNNING"})
    assert server.run_state(run_id).steps == {"first": "RUNNING"}
