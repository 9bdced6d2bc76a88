"""`skymill runs` of a server: listed, shown, their logs, stopped and run again."""

import json
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from components.raster.errors import ConfigError
from pipelines.cli.main import cli
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.errors import KubeflowError, NotFound
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.contract.reason import last_reason
from tests.kubeflow.api_server.engine import UNPREPARED
from tests.kubeflow.api_server.server import Api, api_server
from tests.kubeflow.api_server.store import Store
from tests.kubeflow.tiny import submission, tiny_spec

STEPS = {"first": "SUCCEEDED", "second": "FAILED"}
LOG = "reading\nValueError: a wrong one\n"


@pytest.fixture(params=[True, False], ids=["mlmd", "native"])
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    with api_server(Store(mlmd=request.param)) as running:
        yield running


@pytest.fixture
def run_id(api: Api) -> str:
    return KubeflowServer(Connection(api.url)).submit(submission(), run_name="mine")


def runs(api: Api, *words: str) -> Result:
    return CliRunner().invoke(cli, ["runs", *words, "--endpoint", api.url])


def test_runs_are_listed_newest_first_and_without_archived_ones(api: Api, run_id: str) -> None:
    server = KubeflowServer(Connection(api.url))
    later = server.submit(submission(), run_name="later")
    archived = server.submit(submission(), run_name="archived")
    api.store.runs[archived]["storage_state"] = "ARCHIVED"
    api.store.set_state(run_id, "SUCCEEDED", {})
    found = json.loads(runs(api, "list", "--json").output)
    assert [one["run_id"] for one in found] == [later, run_id]
    assert [one["state"] for one in found] == ["PENDING", "SUCCEEDED"]
    assert json.loads(runs(api, "-n", "1", "--json").output) == found[:1]
    shown = runs(api).output.splitlines()
    assert shown[1].split()[:3] == [later, "later", "pending"]
    api.store.runs.clear()
    assert "No runs at" in runs(api).output


def test_one_run_is_shown_with_its_steps(api: Api, run_id: str) -> None:
    api.store.set_state(run_id, "FAILED", STEPS, {"second": LOG})
    for words in (("show", run_id), (run_id,)):
        done = runs(api, *words)
        assert done.exit_code == 0, "the command worked; the run's outcome is follow's exit code"
        assert done.output.splitlines()[:4] == [
            "       done  first",
            "     failed  second",
            f"mine: failed (run {run_id})",
            "  failed: second: ValueError: a wrong one",
        ]
    result = json.loads(runs(api, "show", run_id, "--json").output)
    assert (result["steps"], result["blocked"]) == (STEPS, False)
    assert isinstance(runs(api, "show", "nothing").exception, NotFound)


def test_steps_stand_in_the_order_of_the_package(api: Api) -> None:
    """A server lists them in any order."""
    spec = tiny_spec("a", "b", "c")
    for step, needed in (("a", "c"), ("c", "b")):
        spec["root"]["dag"]["tasks"][step]["dependentTasks"] = [needed]
    run_id = KubeflowServer(Connection(api.url)).submit(submission(spec))
    api.store.set_state(run_id, "SUCCEEDED", dict.fromkeys("abc", "SUCCEEDED"))
    found = json.loads(runs(api, "show", run_id, "--json").output)
    assert list(found["steps"]) == ["b", "c", "a"]


def test_a_run_whose_package_is_gone_is_shown_without_steps(api: Api, run_id: str) -> None:
    api.store.set_state(run_id, "SUCCEEDED", {"first": "SUCCEEDED"})
    api.store.versions.clear()
    done = runs(api, "show", run_id)
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"mine: succeeded (run {run_id})")
    assert "its package is gone" in done.output


def test_logs_are_those_of_failed_steps_or_of_the_named_one(api: Api, run_id: str) -> None:
    api.store.set_state(run_id, "FAILED", STEPS, {"first": "fine\n", "second": LOG})
    assert runs(api, "logs", run_id).output == LOG
    assert runs(api, "logs", run_id, "first").output == "fine\n"
    with pytest.raises(ConfigError, match="no step 'third'; those that have begun: first, second"):
        raise runs(api, "logs", run_id, "third").exception
    api.store.logs.clear()
    with pytest.raises(ConfigError, match=f"(?s)no log of second.*runid={run_id}"):
        raise runs(api, "logs", run_id).exception
    api.store.set_state(run_id, "SUCCEEDED", {"first": "SUCCEEDED"})
    with pytest.raises(ConfigError, match="has failed: name one, of first"):
        raise runs(api, "logs", run_id).exception


def test_several_failed_steps_have_a_heading_each(api: Api, run_id: str) -> None:
    failed = {"first": "FAILED", "second": "FAILED"}
    api.store.set_state(run_id, "FAILED", failed, {"first": "one\n", "second": "two\n"})
    api.requests.clear()
    assert runs(api, "logs", run_id).output == "==> first\none\n==> second\ntwo\n"
    assert len(api.requests) == len(set(api.requests)), "each thing is asked for once"


def test_a_run_is_stopped_once(api: Api, run_id: str) -> None:
    api.store.set_state(run_id, "RUNNING", {"first": "RUNNING"})
    assert f"stopping (run {run_id})" in runs(api, "stop", "--kubeflow", run_id).output
    assert api.store.runs[run_id]["state"] == "CANCELING"
    api.store.set_state(run_id, "FAILED", {"first": "FAILED"})  # Argo knows no other end
    done = runs(api, "stop", run_id)
    assert (done.exit_code, done.output) == (
        0,
        f"mine: has ended already: failed (run {run_id})\n",
    )


def test_a_failed_run_is_run_again_and_no_other(api: Api, run_id: str) -> None:
    with pytest.raises(ConfigError, match="has not ended"):
        raise runs(api, "retry", run_id).exception
    api.store.set_state(run_id, "SUCCEEDED", {})
    with pytest.raises(ConfigError, match="nothing to run again"):
        raise runs(api, "retry", run_id).exception
    api.store.set_state(run_id, "FAILED", STEPS)
    assert f"skymill follow {run_id}" in runs(api, "retry", "--kubeflow", run_id).output
    assert api.store.runs[run_id]["state"] == "RUNNING"
    with pytest.raises(KubeflowError, match="Workflow must be Failed/Error to retry"):
        KubeflowServer(Connection(api.url)).retry(run_id)  # somebody else was faster


def test_a_variable_alone_leaves_the_command_on_this_machine(
    api: Api, run_id: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("SKYMILL_KFP_ENDPOINT", api.url)
    runner = CliRunner()
    words = ["runs", "--json", "--workspace", str(tmp_path)]
    assert json.loads(runner.invoke(cli, words).output) == []
    found = json.loads(runner.invoke(cli, ["runs", "--kubeflow", "--json"]).output)
    assert [one["run_id"] for one in found] == [run_id]


DRIVER = (
    "F1129 22:15:55.524789      40 main.go:127] KFP driver: driver.Container(pipelineName=tiny, "
    'runID=1, taskDisplayName="second", component="comp-second", componentSpec) failed: '
    'failed to resolve inputs: input parameter "count" type mismatch\n'
    "Error: exit status 1\n"
)
REASON = 'Kubeflow\'s driver: failed to resolve inputs: input parameter "count" type mismatch'


def test_a_step_that_kubeflows_driver_cannot_prepare_has_failed(api: Api, run_id: str) -> None:
    """The server reports it like a step that was skipped."""
    steps = {"first": "SUCCEEDED", "second": UNPREPARED}
    api.store.set_state(run_id, "FAILED", steps, {"second": DRIVER})
    result = json.loads(runs(api, "show", run_id, "--json").output)
    assert result["steps"] == {"first": "SUCCEEDED", "second": "FAILED"}
    assert result["failed"] == [{"step": "second", "reason": REASON, "gate": False}]
    assert runs(api, "logs", run_id).output == DRIVER
    api.store.logs.clear()
    [failed] = json.loads(runs(api, "show", run_id, "--json").output)["failed"]
    assert failed["reason"] == "Kubeflow's driver failed: main: Error (exit code 1)"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "failed to execute driver: driver.Container(runID=1, componentSpec) failed: mismatch",
            "mismatch",
        ),
        ("rpc error: code = NotFound desc = Run 1 not found", ""),
    ],
)
def test_drivers_without_ml_metadata_have_other_words(line: str, reason: str) -> None:
    log = f"F1129 22:15:55.524789      40 main.go:123] Failed to execute driver: {line}\n"
    assert last_reason(log, "main: Error (exit code 1)") == f"Kubeflow's driver: {reason or line}"


@pytest.mark.parametrize(
    ("fatal", "reason"),
    [
        ("failed to execute component: exit status 1", "ValueError: 3"),
        ("failed to upload output artifacts: access denied", None),
    ],
)
def test_the_launchers_own_failure_is_the_reason(fatal: str, reason: str | None) -> None:
    """The step may have printed an exception that it survived."""
    line = f"F1129 22:15:55.524789      40 main.go:127] {fatal}"
    log = f"ValueError: 3\nepoch 4\n{line}\nError: exit status 1\n"
    assert last_reason(log) == (reason or fatal)


def test_a_gate_that_could_not_be_prepared_has_not_blocked(api: Api) -> None:
    spec = tiny_spec("train", "check", gates=("check",))
    run_id = KubeflowServer(Connection(api.url)).submit(submission(spec))
    api.store.set_state(run_id, "FAILED", {"train": "SUCCEEDED", "check": UNPREPARED})
    done = CliRunner().invoke(cli, ["follow", run_id, "--endpoint", api.url])
    assert done.exit_code == 1, done.output


def test_a_step_whose_pod_cannot_start_has_kubernetes_reason(api: Api, run_id: str) -> None:
    """The server reports it like a running one; Argo writes reason and message of the pod."""
    api.store.set_state(run_id, "RUNNING", {"first": "SUCCEEDED", "second": "RUNNING"})
    [pod] = [
        node
        for node in api.store.workflows[run_id]["status"]["nodes"].values()
        if node["type"] == "Pod" and ".second(0).executor" in node["name"]
    ]
    pod["phase"], pod["message"] = "Pending", "PodInitializing"
    assert json.loads(runs(api, "show", run_id, "--json").output)["waiting"] == {}
    pod["message"] = "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    assert f"  waiting: second: {pod['message']}\n" in runs(api, "show", run_id).output


def test_a_followed_run_says_once_why_a_pod_waits(
    api: Api, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 20:
            api.store.set_state(run_id, "CANCELED", {"first": "SUCCEEDED"})

    monkeypatch.setattr(time, "sleep", sleep)
    api.store.set_state(run_id, "RUNNING", {"first": "SUCCEEDED", "second": "RUNNING"})
    nodes = api.store.workflows[run_id]["status"]["nodes"].values()
    [pod] = [it for it in nodes if it["type"] == "Pod" and ".second(0).executor" in it["name"]]
    pod["phase"], pod["message"] = "Pending", "Unschedulable: 3 Insufficient nvidia.com/gpu."
    done = CliRunner().invoke(cli, ["follow", run_id, "--endpoint", api.url])
    assert done.output.count(f"    waiting  second: {pod['message']}\n") == 1
    looks.clear()
    api.store.set_state(run_id, "RUNNING", {"first": "SUCCEEDED", "second": "RUNNING"})
    result = CliRunner().invoke(cli, ["follow", run_id, "--endpoint", api.url, "--json"])
    assert json.loads(result.stdout)["state"] == "CANCELED"


def test_a_run_that_ends_before_its_first_step_has_the_drivers_reason(
    api: Api, run_id: str
) -> None:
    steps = {"root": UNPREPARED}
    api.store.set_state(run_id, "FAILED", steps, {"root": DRIVER})
    done = CliRunner().invoke(cli, ["follow", run_id, "--endpoint", api.url])
    assert done.exit_code == 1
    assert f"  {REASON}\n" in done.output
    assert f"-l pipeline/runid={run_id}" in done.output
    assert runs(api, "logs", run_id).output == DRIVER
    api.store.logs.clear()
    shown = runs(api, "show", run_id).output
    assert "Kubeflow's driver failed: main: Error (exit code 1)" in shown


def test_a_run_that_the_engine_ends_has_its_message_or_says_that_there_is_none(
    api: Api, run_id: str
) -> None:
    api.store.set_state(run_id, "FAILED", {})
    assert "the server does not report what ended it" in runs(api, "show", run_id).output
    api.store.workflows[run_id]["status"]["message"] = "Stopped with strategy 'Terminate'"
    assert "Stopped with strategy 'Terminate'" in runs(api, "show", run_id).output
