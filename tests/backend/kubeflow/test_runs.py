"""Runs on Kubeflow Pipelines itself: retries, failures, an end by hand."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.kubeflow import connect
from pipelines.kubeflow.client import api
from pipelines.kubeflow.client.errors import KubeflowError
from pipelines.kubeflow.client.submission import Submission
from tests.backend.kubeflow.calls import (
    VOLUME,
    WAIT_S,
    follow,
    followed,
    land_cover,
    programmed,
    run_ids,
    skymill,
    two_steps,
    without_default,
)
from tests.backend.kubeflow.installation import Kubeflow, api_server
from tests.backend.kubeflow.known import attempts, ended, workflow
from tests.backend.processes import until
from tests.kubeflow.tiny import submission, tiny_spec

pytestmark = pytest.mark.backend

Json = dict[str, Any]

_FAILS_TWICE = 'import os; assert int(os.environ["KFP_RETRY_INDEX"]) == 2'
_SLEEPS = 'import time; print("asleep", flush=True); time.sleep(600)'
_SAYS = """
import sys
print("here is", sys.argv[2], flush=True)
if sys.argv[2] != "sound":
    raise ValueError(sys.argv[2])
"""
# Both write a line for each time that they are run; the second wants a file that is missing.
_NOTES = """
import os, sys
folder, name = "/mnt/skymill/retried", sys.argv[2]
with open(f"{folder}/{name}", "a") as file:
    print("run", file=file)
assert name == "first" or os.path.exists(f"{folder}/repaired"), "not repaired"
"""


def test_a_run_of_two_steps(installation: Kubeflow) -> None:
    state = connect(installation.endpoint).submit(two_steps(installation)).follow(timeout_s=WAIT_S)
    assert state.state == "SUCCEEDED"
    assert state.steps == {"first": "SUCCEEDED", "second": "SUCCEEDED"}


def test_a_step_fails_twice_and_then_succeeds(installation: Kubeflow) -> None:
    """Kubeflow gives a step the number of its attempt."""
    spec = programmed(installation, _FAILS_TWICE, "only")
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


def test_each_step_has_its_own_log(installation: Kubeflow) -> None:
    """Two steps that fail at a time have a reason each, and one that succeeds has a log."""
    spec = programmed(installation, _SAYS, "sound", "one", "other")
    run_id = connect(installation.endpoint).submit(submission(spec)).run_id
    code, outcome = follow(installation, run_id)
    assert code == 1, outcome
    reasons = {one["step"]: one["reason"] for one in outcome["failed"]}
    assert reasons == {"one": "ValueError: one", "other": "ValueError: other"}
    for step in ("sound", "one"):
        [attempt] = attempts(installation, run_id, step)
        log = skymill(installation, "runs", "logs", run_id, step).output
        assert f"here is {step}\n" in log
        assert log.strip() in attempt.log, "Argo's executor has lines of its own around it"


def test_a_step_that_its_driver_cannot_prepare_has_failed(installation: Kubeflow) -> None:
    """Its input refers to a parameter that the pipeline has not; the server says it was skipped."""
    spec = tiny_spec(image=installation.image)
    wrong = {"constant": "{{$.inputs.parameters['nothing']}}"}
    spec["root"]["dag"]["tasks"]["first"]["inputs"]["parameters"]["count"] = {"runtimeValue": wrong}
    run_id = connect(installation.endpoint).submit(submission(spec)).run_id
    code, outcome = follow(installation, run_id)
    assert (code, outcome["steps"]) == (1, {"first": "FAILED", "second": "SKIPPED"}), outcome
    [failed] = outcome["failed"]
    assert failed["step"] == "first"
    assert failed["reason"].startswith("Kubeflow's driver: "), failed
    assert 'input parameter "count" type mismatch' in failed["reason"], failed
    assert attempts(installation, run_id, "first") == []
    assert failed["reason"][-30:] in skymill(installation, "runs", "logs", run_id).output


def test_a_run_is_stopped_with_its_pod(installation: Kubeflow) -> None:
    """Its step ends early, later steps do not begin, and a second stop changes nothing."""
    spec = programmed(installation, _SLEEPS)
    run_id = connect(installation.endpoint).submit(submission(spec)).run_id
    until(lambda: "asleep" in "".join(_logs(installation, run_id, "first")), WAIT_S)
    done = skymill(installation, "runs", "stop", run_id)
    assert "stopping" in done.output, done.output
    status = ended(installation, run_id, 120)
    assert status["phase"] == "Failed"
    [attempt] = attempts(installation, run_id, "first")
    assert attempt.phase == "Failed"
    assert attempts(installation, run_id, "second") == []
    code, outcome = follow(installation, run_id)
    assert (code, outcome["state"], outcome["blocked"]) == (1, "FAILED", False), outcome
    [failed] = outcome["failed"]
    assert (failed["step"], failed["reason"]) == ("first", attempt.message)
    by_hand = ("Step exceeded its deadline", "main: Error (exit code 143)")
    assert attempt.message in by_hand, "which depends on what Argo's controller learns first"
    done = skymill(installation, "runs", "stop", run_id)
    assert "has ended already" in done.output, done.output
    newest, *_ = json.loads(skymill(installation, "runs", "list", "--json").stdout)
    assert (newest["run_id"], newest["state"]) == (run_id, "FAILED")


def test_following_outlasts_a_server_that_is_replaced(installation: Kubeflow) -> None:
    if not installation.cluster.own or not installation.metadata:
        pytest.skip("needs a server that may be replaced, and a launcher that does not call it")
    spec = programmed(installation, "import time; time.sleep(30)", "only")
    run = connect(installation.endpoint).submit(submission(spec))
    troubles: list[KubeflowError] = []
    back: list[threading.Timer] = []

    def replace(step: str, state: str) -> None:
        if not back and state == "RUNNING":
            words = ("delete", "--namespace=kubeflow", "pod", "ml-pipeline")
            assert installation.cluster.kubectl(*words).returncode == 0
            back.append(threading.Timer(5, installation.cluster.apply, [api_server()]))
            back[0].start()

    try:
        state = run.follow(replace, troubled=troubles.append, timeout_s=WAIT_S, poll_s=1)
    finally:
        for one in back:
            one.join()
    assert (state.state, len(troubles)) == ("SUCCEEDED", 1)
    assert "cannot be reached" in str(troubles[0])


def test_runs_are_listed_over_pages(
    installation: Kubeflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_ids(installation)
    assert len(whole) > 2
    monkeypatch.setattr(api, "_PAGE", 2)
    assert run_ids(installation) == whole


def test_a_run_that_failed_is_retried_from_the_failed_step(installation: Kubeflow) -> None:
    folder = installation.data / "retried"
    folder.mkdir(parents=True)
    spec = programmed(installation, _NOTES)
    mounts = [{"mountPath": str(VOLUME), "constant": "data"}]
    executors = {f"exec-{name}": {"pvcMount": mounts} for name in ("first", "second")}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    text = yaml.safe_dump_all([spec, platform])
    run_id = connect(installation.endpoint).submit(Submission(text, spec)).run_id
    code, outcome = follow(installation, run_id)
    assert (code, outcome["steps"]) == (1, {"first": "SUCCEEDED", "second": "FAILED"}), outcome
    (folder / "repaired").touch()
    done = skymill(installation, "runs", "retry", run_id)
    assert done.exit_code == 0, done.output
    code, outcome = follow(installation, run_id)
    assert (code, outcome["steps"]) == (0, {"first": "SUCCEEDED", "second": "SUCCEEDED"}), outcome
    assert workflow(installation, run_id)["status"]["phase"] == "Succeeded"
    written = {path.name: path.read_text().count("run") for path in folder.iterdir()}
    assert written == {"first": 1, "second": 2, "repaired": 0}


def test_bad_data_are_read_once_and_again_after_a_retry_by_hand(
    installation: Kubeflow, tmp_path: Path
) -> None:
    """A folder without images passes Prepare, and Ingest leaves a marker for its own retry."""
    other = installation.data / "none" / "field"
    other.mkdir(parents=True)
    (other / "note.txt").write_text("no image")
    source = {"kind": "folders", "uri": str(VOLUME / "none")}
    text = land_cover(installation, ingest={"source": source})
    with without_default(installation):
        code, outcome = followed(installation, tmp_path / "package.yaml", text)
        before = attempts(installation, outcome["run_id"], "ingest")
        done = skymill(installation, "runs", "retry", outcome["run_id"])
        assert done.exit_code == 0, done.output
        again, retold = follow(installation, outcome["run_id"])
        after = attempts(installation, outcome["run_id"], "ingest")
    for one in (outcome, retold):
        [failed] = one["failed"]
        assert failed["step"] == "ingest"
        assert failed["reason"].startswith("DataError: no usable image in"), failed
    assert (code, again) == (1, 1)
    for tried in (before, after):
        assert [one.phase for one in tried] == ["Failed", "Failed"]
        assert ["an earlier attempt has failed" in one.log for one in tried] == [False, True]
    assert after[0].began > before[-1].began


def test_a_missing_source_stops_a_run_before_its_steps(
    installation: Kubeflow, tmp_path: Path
) -> None:
    source = {"kind": "folders", "uri": str(VOLUME / "nowhere")}
    text = land_cover(installation, ingest={"source": source})
    code, outcome = followed(installation, tmp_path / "package.yaml", text)
    assert code == 1, outcome
    [failed] = outcome["failed"]
    assert failed["step"] == "stop-on-inputs"
    assert failed["reason"].startswith("DataError: no folder"), failed
    assert attempts(installation, outcome["run_id"], "ingest") == []
    assert len(attempts(installation, outcome["run_id"], "stop-on-inputs")) == 1


def _logs(installation: Kubeflow, run_id: str, step: str) -> list[str]:
    return [one.log for one in attempts(installation, run_id, step)]
