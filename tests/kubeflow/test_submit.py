"""Runs on a server: started, found again, followed, measured; and their faults."""

import base64
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from components.raster.errors import ConfigError
from pipelines.cli.main import cli
from pipelines.kubeflow import connect
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.errors import (
    KubeflowError,
    NotFound,
    Unauthenticated,
    response_error,
)
from pipelines.kubeflow.client.follow import follow
from pipelines.kubeflow.client.lineage import run_metrics
from pipelines.kubeflow.client.run_state import FailedStep, RunState
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.contract.reason import last_reason
from tests.kubeflow.api_server.metadata import metadata_server
from tests.kubeflow.api_server.server import Api, Page, api_server, bearer
from tests.kubeflow.api_server.store import Store
from tests.kubeflow.launcher import CACHED, SUCCEEDED, Backend, Task
from tests.kubeflow.tiny import submission, tiny_spec


@pytest.fixture
def package_path(tmp_path: Path) -> str:
    path = tmp_path / "package.yaml"
    path.write_text(yaml.safe_dump(tiny_spec()))
    return str(path)


def skymill(api: Api, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--endpoint", api.url])


def test_a_run_is_what_was_asked_for(server: KubeflowServer, api: Api) -> None:
    run_id = server.submit(submission(), {"count": "5"}, run_name="mine", experiment="trials")
    run = api.store.runs[run_id]
    assert run["display_name"] == "mine"
    assert run["runtime_config"] == {"parameters": {"count": 5}}
    assert run["service_account"] == "skymill-steps"
    assert api.store.experiments[run["experiment_id"]]["display_name"] == "trials"
    version = api.store.versions[run["pipeline_version_reference"]["pipeline_version_id"]]
    assert version["name"].startswith("sha256-")
    state = server.run_state(run_id)
    assert (state.name, state.state, state.ended) == ("mine", "PENDING", False)


def test_the_same_content_is_one_version_and_other_content_another(
    server: KubeflowServer, api: Api
) -> None:
    server.submit(submission())
    server.submit(submission())
    changed = tiny_spec()
    changed["deploymentSpec"]["executors"]["exec-first"]["container"]["image"] = "a:2"
    server.submit(submission(changed))
    assert len(api.store.runs) == 3
    assert len(api.store.pipelines) == 1
    assert len(api.store.versions) == 2


def test_a_key_is_one_run_and_finds_it_again(server: KubeflowServer, api: Api) -> None:
    key = "land_cover".replace("_", "-") + ":" + "a" * 64
    assert server.find_run(key) is None
    first = server.submit(submission(), key=key)
    assert server.submit(submission(), {"count": 9}, key=key) == first
    assert server.find_run(key) == first
    assert server.find_run(key[:-1]) is None, "part of a key is another key"
    for number in range(130):
        api.store.create_run({**api.store.runs[first], "description": f"other {number}"})
    assert KubeflowServer(Connection(api.url)).find_run(key) == first
    with pytest.raises(ConfigError, match="not a key of a run"):
        server.find_run("50%")


def test_somebody_else_may_be_faster(
    server: KubeflowServer, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another client makes pipeline, experiment and version between look-up and creation."""
    KubeflowServer(Connection(api.url)).submit(submission())
    for name in ("_find_experiment", "_find_pipeline", "_find_version"):
        find, asked = getattr(server.catalogue, name), list[str]()

        def late(*given: str, find: Any = find, asked: list[str] = asked) -> str | None:
            asked.append(given[-1])
            return find(*given) if len(asked) > 1 else None

        monkeypatch.setattr(server.catalogue, name, late)
    server.submit(submission())
    assert len(api.store.pipelines) == len(api.store.experiments) == len(api.store.versions) == 1
    assert len(api.store.runs) == 2


def test_followed_to_its_end(server: KubeflowServer, api: Api) -> None:
    run_id = server.submit(submission())
    result: list[tuple[str, str]] = []
    script = [
        ("RUNNING", {"first": "RUNNING"}),
        ("RUNNING", {"first": "SUCCEEDED", "second": "RUNNING"}),
        ("FAILED", {"first": "SUCCEEDED", "second": "RUNNING"}),  # the run is written first
        ("FAILED", {"first": "SUCCEEDED", "second": "FAILED"}),
    ]

    def changed(step: str, state: str) -> None:
        result.append((step, state))

    class Scripted:
        def run_state(self, run_id: str) -> RunState:
            if script:
                state, steps = script.pop(0)
                api.store.set_state(run_id, state, steps)
            return server.run_state(run_id)

    state = follow(Scripted(), run_id, changed, poll_s=0.01)
    assert result == [
        ("first", "RUNNING"),
        ("first", "SUCCEEDED"),
        ("second", "RUNNING"),
        ("second", "FAILED"),
    ]
    assert (state.state, state.failed) == ("FAILED", (FailedStep("second"),))
    assert state.finished


def test_a_step_that_stays_behind_is_not_followed_for_ever(
    server: KubeflowServer, api: Api
) -> None:
    run_id = server.submit(submission())
    api.store.set_state(run_id, "CANCELED", {"first": "RUNNING"})
    state = follow(server, run_id, poll_s=0.01, timeout_s=0)
    assert (state.state, state.steps) == ("CANCELED", {"first": "RUNNING"})


def test_a_step_that_was_omitted_is_skipped(server: KubeflowServer, api: Api) -> None:
    run_id = server.submit(submission())
    api.store.set_state(run_id, "FAILED", {"first": "FAILED", "second": "OMITTED"})
    state = server.run_state(run_id)
    assert state.settled, "it is not waited for"
    assert state.steps == {"first": "FAILED", "second": "SKIPPED"}


LOG = """INFO:root:reading
Traceback (most recent call last):
ValueError: an inner one
GateFailed: gate 'evaluation' blocked the run: 1 of 3 failed
F0101 main.go:49] failed to execute component: exit status 1
"""


def test_a_failed_step_says_why(server: KubeflowServer, api: Api, package_path: str) -> None:
    run_id = server.submit(submission())
    steps = {"first": "SUCCEEDED", "second": "FAILED"}
    api.store.set_state(run_id, "FAILED", steps, {"first": "fine", "second": LOG})
    [failed] = server.run_state(run_id).failed
    why = "GateFailed: gate 'evaluation' blocked the run: 1 of 3 failed"
    assert failed == FailedStep("second", why)
    assert f"failed: second: {why}" in skymill(api, "follow", run_id).output
    api.store.logs.clear()
    assert server.run_state(run_id).failed == (FailedStep("second"),)


def test_each_failed_step_has_the_reason_in_its_own_log(server: KubeflowServer, api: Api) -> None:
    """The server names neither the nodes of a run nor their pods; the engine's workflow does."""
    run_id = server.submit(submission(tiny_spec("a", "b", "c")))
    states = {"a": "FAILED", "b": "SUCCEEDED", "c": "FAILED"}
    logs = {"a": "ValueError: one\n", "b": "fine\n", "c": LOG}
    api.store.set_state(run_id, "FAILED", states, logs)
    why = "GateFailed: gate 'evaluation' blocked the run: 1 of 3 failed"
    failed = (FailedStep("a", "ValueError: one"), FailedStep("c", why))
    assert server.run_state(run_id).failed == failed
    assert server.step_logs(run_id, "b") == {"b": "fine\n"}
    details = api.store.runs[run_id]["run_details"]["task_details"]
    assert not any("pod_name" in one for one in details)


def test_the_last_attempt_of_a_step_tells_the_reason(server: KubeflowServer, api: Api) -> None:
    run_id = server.submit(submission(tiny_spec("a")))
    api.store.set_state(run_id, "FAILED", {"a": "FAILED"}, {"a": "ValueError: the first\n"})
    nodes = api.store.workflows[run_id]["status"]["nodes"]
    [first] = [one for one in nodes.values() if one["name"].endswith("executor(0)")]
    again = {**first, "id": "tiny-x7k2p-99", "name": first["name"].replace("r(0)", "r(1)")}
    nodes[again["id"]] = again
    api.store.logs[run_id, "tiny-x7k2p-system-container-impl-99"] = "ValueError: the last\n"
    assert server.run_state(run_id).failed == (FailedStep("a", "ValueError: the last"),)


def test_an_argo_may_name_pods_by_their_nodes_alone(server: KubeflowServer, api: Api) -> None:
    run_id = server.submit(submission(tiny_spec("a")))
    api.store.set_state(run_id, "FAILED", {"a": "FAILED"})
    workflow = api.store.workflows[run_id]
    workflow["metadata"]["annotations"]["workflows.argoproj.io/pod-name-format"] = "v1"
    nodes = workflow["status"]["nodes"].values()
    [pod] = [one["id"] for one in nodes if one["name"].endswith("executor(0)")]
    api.store.logs[run_id, pod] = "ValueError: one\n"
    assert server.run_state(run_id).failed == (FailedStep("a", "ValueError: one"),)


@pytest.mark.parametrize(
    ("message", "reason", "code"),
    [
        ("Error (exit code 1)", "", 3),
        ("main: Error (exit code 1)", "", 3),
        ("OOMKilled (exit code 137)", "OOMKilled (exit code 137)", 1),
        ("pod deleted", "pod deleted", 1),
    ],
)
def test_the_engines_message_stands_in_for_a_lost_log_if_it_says_more_than_failed(
    server: KubeflowServer, api: Api, message: str, reason: str, code: int
) -> None:
    run_id = server.submit(submission(tiny_spec("train", "check", gates=["check"])))
    api.store.set_state(run_id, "FAILED", {"train": "SUCCEEDED", "check": "FAILED"})
    for node in api.store.workflows[run_id]["status"]["nodes"].values():
        if node["phase"] == "Failed":
            node["message"] = message
    assert server.run_state(run_id).failed == (FailedStep("check", reason, gate=True),)
    assert skymill(api, "follow", run_id).exit_code == code


def test_the_engines_message_precedes_a_log_without_an_error(
    server: KubeflowServer, api: Api
) -> None:
    run_id = server.submit(submission(tiny_spec("a", "b")))
    logs = {"a": "epoch 3\n", "b": LOG}
    api.store.set_state(run_id, "FAILED", {"a": "FAILED", "b": "FAILED"}, logs)
    for node in api.store.workflows[run_id]["status"]["nodes"].values():
        node["message"] = "Step exceeded its deadline"
    why = "GateFailed: gate 'evaluation' blocked the run: 1 of 3 failed"
    failed = (FailedStep("a", "Step exceeded its deadline"), FailedStep("b", why))
    assert server.run_state(run_id).failed == failed


def test_cached_steps_are_those_without_an_executor(server: KubeflowServer, api: Api) -> None:
    run_id = server.submit(submission())
    steps = {"first": "CACHED", "second": "SUCCEEDED"}
    api.store.set_state(run_id, "SUCCEEDED", steps)
    state = server.run_state(run_id)
    assert (state.steps, state.cached) == (dict.fromkeys(steps, "SUCCEEDED"), ("first",))
    assert skymill(api, "runs", "show", run_id).output.splitlines()[:2] == [
        "     cached  first",
        "       done  second",
    ]


def test_the_nodes_of_a_large_workflow_are_compressed(server: KubeflowServer, api: Api) -> None:
    run_id = server.submit(submission())
    api.store.set_state(run_id, "SUCCEEDED", {"first": "CACHED", "second": "SUCCEEDED"})
    status = api.store.workflows[run_id]["status"]
    packed = gzip.compress(json.dumps(status.pop("nodes")).encode())
    status["compressedNodes"] = base64.b64encode(packed).decode()
    assert server.run_state(run_id).cached == ("first",)


@pytest.mark.parametrize("refusal", [Page(403, "RBAC: access denied"), Page(404, "<html>none")])
def test_a_server_without_the_older_api_tells_the_states(
    server: KubeflowServer, api: Api, refusal: Page
) -> None:
    run_id = server.submit(submission())
    steps = {"first": "CACHED", "second": "FAILED"}
    api.store.set_state(run_id, "FAILED", steps, {"second": LOG})
    api.old_api.append(refusal)
    state = server.run_state(run_id)
    assert state.steps == {"first": "SUCCEEDED", "second": "FAILED"}
    assert (state.cached, state.failed) == ((), (FailedStep("second"),))


def test_a_workflow_that_cannot_be_read_for_a_moment_is_asked_for_again(
    server: KubeflowServer, api: Api
) -> None:
    run_id = server.submit(submission())
    api.store.set_state(run_id, "SUCCEEDED", {"first": "CACHED", "second": "SUCCEEDED"})
    api.old_api.append(Page(503, "<html>no healthy upstream</html>"))
    assert follow(server, run_id, poll_s=0.01).cached == ("first",)


def test_an_earlier_attempts_log_is_not_the_last_ones_reason(
    server: KubeflowServer, api: Api
) -> None:
    run_id = server.submit(submission(tiny_spec("a")))
    api.store.set_state(run_id, "FAILED", {"a": "FAILED"}, {"a": LOG})
    nodes = api.store.workflows[run_id]["status"]["nodes"]
    [first] = [node for node in nodes.values() if node["name"].endswith("executor(0)")]
    last = {
        **first,
        "id": f"{first['id']}9",
        "name": first["name"].replace("executor(0)", "executor(1)"),
        "startedAt": "2099-01-01T00:00:00Z",
        "message": "pod deleted",
    }
    nodes[last["id"]] = last
    assert server.run_state(run_id).failed == (FailedStep("a", "pod deleted"),)
    assert server.step_logs(run_id) == {"a": ""}


def test_without_an_exception_the_last_line_is_the_reason() -> None:
    assert last_reason("one\ntwo  \n\n") == "two"
    assert last_reason("tensorflow.errors.OpError: x\n  at\n") == "tensorflow.errors.OpError: x"
    assert last_reason("") == ""
    assert last_reason("one\n", "killed") == last_reason("", "killed") == "killed"


@pytest.mark.parametrize(
    "reason", ["WorkersRefused: worker 1 has failed", "OutOfMemory: of 64 rows", "DiskFull: /mnt"]
)
def test_the_line_of_any_error_is_the_reason_whatever_the_launcher_says_after_it(
    reason: str,
) -> None:
    after = "F0101 main.go:49] failed to execute component: exit status 1"
    assert last_reason(f"Epoch 1: done\n{reason}\n{after}\n") == reason


def test_following_outlasts_a_server_that_is_away_for_a_while(
    server: KubeflowServer, api: Api
) -> None:
    run_id = server.submit(submission())
    api.store.set_state(run_id, "CANCELED", {})
    api.broken = 3
    troubles: list[KubeflowError] = []
    state = follow(server, run_id, poll_s=0.01, troubled=troubles.append)
    assert (state.state, len(troubles)) == ("CANCELED", 1), "reported once, not with each request"
    api.broken = 1000
    with pytest.raises(KubeflowError, match="answered 503: a web page") as caught:
        follow(server, run_id, poll_s=0.01, patience_s=0.05)
    assert caught.value.transient
    api.broken = 0
    api.store.set_state(run_id, "RUNNING", {})
    with pytest.raises(KubeflowError, match="has not ended after 0 s; it goes on"):
        follow(server, run_id, poll_s=0.01, timeout_s=0.05)
    with pytest.raises(NotFound, match="not found"):
        follow(server, "nothing")


def test_a_run_whose_follower_loses_the_server_goes_on(server: KubeflowServer, api: Api) -> None:
    """Like an expired token: the command prints how to follow the run again."""
    run_id = server.submit(submission())
    api.store.set_state(run_id, "RUNNING", {"first": "RUNNING"})

    def lock(step: str, state: str) -> None:
        api.guard = bearer({"right"})

    with pytest.raises(Unauthenticated, match=f"goes on: skymill follow {run_id}$"):
        follow(server, run_id, lock, poll_s=0.01)


def test_whoever_stops_following_reads_how_the_run_is_ended(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --json nothing has named the run before."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    path = tmp_path / "package.yaml"
    path.write_text(submission().text)
    done = skymill(api, "submit", "-p", str(path), "--follow", "--json")
    [run_id] = api.store.runs
    assert f"skymill runs stop {run_id}" in done.stderr


def test_an_outage_is_reported_at_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    run_id = connect(api.url).submit(submission()).run_id
    api.store.set_state(run_id, "SUCCEEDED", {"first": "SUCCEEDED"})
    api.broken = 3
    done = skymill(api, "follow", run_id)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("Trying again; the run goes on") == 1


def test_metrics_are_those_of_the_metadata_store() -> None:
    evaluation = {
        "uri": "s3://bucket/metrics",
        "metadata": {"accuracy": 0.75, "log_loss": 0.5, "display_name": "metrics"},
    }
    model = {"uri": "s3://bucket/model", "metadata": {"epoch": 3.0}}
    spec = {
        "components": {
            "comp-evaluation": {
                "outputDefinitions": {
                    "artifacts": {"metrics": {"artifactType": {"schemaTitle": "system.Metrics"}}}
                }
            },
            "comp-trainer": {
                "outputDefinitions": {
                    "artifacts": {"model": {"artifactType": {"schemaTitle": "system.Model"}}}
                }
            },
        }
    }
    run = {
        "trainer": Task(SUCCEEDED, artifacts={"model": model}),
        "evaluation": Task(CACHED, artifacts={"metrics": evaluation}),
    }
    with metadata_server() as metadata:
        metadata.record("run-7", run, spec)
        assert run_metrics(metadata.address, "run-7") == {"accuracy": 0.75, "log_loss": 0.5}
        with pytest.raises(KubeflowError, match="knows no run run-8"):
            run_metrics(metadata.address, "run-8")
        address = metadata.address
    with pytest.raises(KubeflowError, match="cannot read metrics") as caught:
        run_metrics(address, "run-7")
    assert caught.value.transient
    with pytest.raises(ConfigError, match="port-forward service/metadata-grpc-service"):
        run_metrics("", "run-7")


def test_three_lines_in_a_notebook(
    api: Api, package_path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = Backend(tmp_path / "cluster", "s3://bucket/root", "MOUNTS")

    def execute(run: dict, text: str, values: dict) -> None:
        done = backend.run(text, values)
        steps = {name: task.state for name, task in done.items()}
        api.store.set_state(run["run_id"], "SUCCEEDED", steps)

    api.store.execute = execute
    session = connect(api.url)
    run = session.submit(package_path, {"count": 2})
    state = run.follow()
    assert state.succeeded
    assert state.steps == {"first": "SUCCEEDED", "second": "SUCCEEDED"}
    assert capsys.readouterr().out.split() == ["succeeded", "first", "succeeded", "second"]


def test_the_command_submits_and_follows(api: Api, package_path: str) -> None:
    done = skymill(api, "submit", "-p", package_path, "--set", "count=4", "--json")
    assert done.exit_code == 0, done.output
    run_id = json.loads(done.output)["run_id"]
    assert api.store.runs[run_id]["runtime_config"]["parameters"] == {"count": 4}
    api.store.set_state(run_id, "SUCCEEDED", {"first": "SUCCEEDED", "second": "SUCCEEDED"})
    done = skymill(api, "follow", run_id, "--json")
    assert done.exit_code == 0
    assert json.loads(done.output)["state"] == "SUCCEEDED"

    api.store.set_state(run_id, "FAILED", {"second": "FAILED"})
    done = skymill(api, "follow", run_id)
    assert done.exit_code == 1
    assert "failed: second" in done.output
    assert f"-l pipeline/runid={run_id}" in done.output

    done = skymill(api, "follow", run_id, "--metadata", "127.0.0.1:9")
    assert done.exit_code == 1
    assert "cannot read metrics" in done.stderr
    assert "failed: second" in done.stdout


BLOCKED = "GateFailed: gate 'evaluation' blocked the run: 1 of 3 failed"


@pytest.mark.parametrize(
    ("steps", "logs", "code"),
    [
        ({"check": "FAILED"}, {}, 3),
        ({"check": "FAILED"}, {"check": BLOCKED}, 3),
        ({"check": "FAILED"}, {"check": "MemoryError: Unable to allocate 9 GiB"}, 1),
        ({"stop-on-purpose": "FAILED"}, {}, 1),
        ({"check": "FAILED", "train": "FAILED"}, {"check": BLOCKED}, 1),
        ({"train": "FAILED", "check": "SUCCEEDED"}, {}, 1),
    ],
)
def test_a_gate_that_blocks_is_distinguished_from_whatever_else_fails(
    server: KubeflowServer, api: Api, steps: dict, logs: dict, code: int
) -> None:
    """By what the package defines and the gate has said, whatever the steps are named."""
    spec = tiny_spec("train", "check", "stop-on-purpose", gates=["check"])
    run_id = server.submit(submission(spec))
    api.store.set_state(run_id, "FAILED", steps, logs)
    done = skymill(api, "follow", run_id)
    assert done.exit_code == code, done.output
    result = json.loads(skymill(api, "follow", run_id, "--json").output)
    assert result["blocked"] is (code == 3)
    assert result["steps"] == steps
    assert {one["step"] for one in result["failed"]} == {
        k for k, v in steps.items() if v == "FAILED"
    }


def test_a_run_that_a_gate_blocks_ends_submit_and_the_notebook_alike(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "package.yaml"
    path.write_text(yaml.safe_dump(tiny_spec("train", "check", gates=["check"])))
    ended = {"train": "SUCCEEDED", "check": "FAILED"}

    def execute(run: dict, text: str, values: dict) -> None:
        api.store.set_state(run["run_id"], "FAILED", ended, {"check": BLOCKED})

    api.store.execute = execute
    done = skymill(api, "submit", "-p", str(path), "--follow")
    assert done.exit_code == 3
    assert f"failed: check: {BLOCKED}" in done.output
    assert "root" not in done.output
    state = connect(api.url).submit(str(path)).follow()
    assert (state.steps, state.blocked) == (ended, True)
    assert capsys.readouterr().out.split() == ["failed", "check", "succeeded", "train"]


def test_a_step_may_be_named_as_the_backend_names_its_own_nodes(
    server: KubeflowServer, api: Api
) -> None:
    spec = tiny_spec("train", "train-driver", "root", "executor")
    run_id = server.submit(submission(spec))
    begun = dict.fromkeys(("train", "train-driver", "root"), "SUCCEEDED")
    api.store.set_state(run_id, "SUCCEEDED", begun)
    assert server.run_state(run_id).steps.items() >= begun.items()


def test_the_package_of_a_run_is_in_the_run_or_its_version(
    server: KubeflowServer, api: Api
) -> None:
    inline = {"display_name": "by hand", "pipeline_spec": tiny_spec()}
    run_id = api.store.create_run(inline)["run_id"]
    api.store.set_state(run_id, "RUNNING", {"first": "RUNNING"})
    assert server.run_state(run_id).steps == {"first": "RUNNING"}
    assert not any("/versions/" in line for line in api.requests)

    run_id = server.submit(submission())
    api.store.set_state(run_id, "FAILED", {"first": "FAILED"})
    for _ in range(3):
        assert server.run_state(run_id).steps == {"first": "FAILED"}
    assert sum("/versions/" in line for line in api.requests) == 1, "it never changes"

    api.store.versions.clear()
    other = KubeflowServer(Connection(api.url)).run_state(run_id)
    assert (other.state, other.steps, other.blocked) == ("FAILED", {}, False)
    assert "its package is gone" in other.error
    done = skymill(api, "follow", run_id)
    assert done.exit_code == 1
    assert "its package is gone" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "count"], "is not NAME=VALUE"),
        (["--set", "count=1", "--set", "count=2"], "is given twice"),
        (["-c", "skymill.yaml"], "not both"),
    ],
)
def test_a_wrong_call_is_reported(api: Api, package_path: str, words: list, message: str) -> None:
    done = skymill(api, "submit", "-p", package_path, *words)
    assert done.exit_code == 2
    assert message in done.output
    assert not api.store.runs


def test_importing_the_client_loads_no_compiler() -> None:
    program = (
        "import importlib, pkgutil, sys\n"
        "import pipelines.kubeflow.client as client\n"
        "names = [it.name for it in pkgutil.iter_modules(client.__path__, client.__name__ + '.')]\n"
        "assert list(map(importlib.import_module, names))\n"
        "compilers = {'kfp', 'tfx', 'pipelines.kubeflow.compile'} & set(sys.modules)\n"
        "assert not compilers, compilers\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_ready_package_is_submitted_without_tensorflow(api: Api, package_path: str) -> None:
    program = (
        "import sys\n"
        "from pipelines.cli.main import cli\n"
        f"cli(['submit', '-p', {package_path!r}, '--endpoint', {api.url!r}], "
        "standalone_mode=False)\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'keras'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "tiny: run " in done.stdout
    assert len(api.store.runs) == 1


def test_a_configuration_is_compiled_first(api: Api, repository: Path) -> None:
    done = skymill(api, "submit", "-c", str(repository / "tests/golden/kubeflow.yaml"))
    assert done.exit_code == 0, done.output
    [text] = api.store.texts.values()
    assert text == (repository / "tests/golden/kubeflow_package.yaml").read_text()


def test_who_has_several_users_asks_for_a_namespace(package_path: str) -> None:
    with api_server(Store(multi_user=True)) as api:
        done = skymill(api, "submit", "-p", package_path)
        assert isinstance(done.exception, KubeflowError)
        assert "--namespace" in str(done.exception)
        done = skymill(api, "submit", "-p", package_path, "--namespace", "anna")
        assert done.exit_code == 0, done.output
        [experiment] = api.store.experiments.values()
        assert experiment["namespace"] == "anna"


@pytest.mark.parametrize(
    ("status", "message", "transient"),
    [
        (500, "InternalServerError: Failed to create a workflow: timeout", True),
        (500, "InternalServerError: Failed: InvalidInputError: unknown template format", False),
        (500, "Failed to compile job: error processing component", False),
        (503, "Service unavailable", True),
        (400, "Invalid input error: x", False),
        (403, "PermissionDenied: User 'anna' is not authorized", False),
    ],
)
def test_what_may_pass_is_distinguished_from_what_will_not(
    status: int, message: str, transient: bool
) -> None:
    error = response_error("start a run", "http://k", status, json.dumps({"message": message}))
    assert error.transient is transient
    assert message in str(error)


def test_a_server_that_is_not_there_is_reported() -> None:
    with api_server() as api:
        url = api.url
    with pytest.raises(KubeflowError, match=r"cannot be reached \(.*refused\)") as caught:
        connect(url).submit(submission())
    assert caught.value.transient
    program = "from pipelines.cli.main import main; main()"
    words = [sys.executable, "-c", program, "schedule", "list", "--endpoint", url]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("skymill: cannot list schedules")
    assert done.stderr.count("\n") == 1
