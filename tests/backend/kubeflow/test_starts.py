"""Runs that schedules and watches start, on Kubeflow Pipelines itself."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipelines.cli.main import cli
from tests.backend.kubeflow.calls import (
    VOLUME,
    WAIT_S,
    follow,
    land_cover,
    run_ids,
    skymill,
    two_steps,
)
from tests.backend.kubeflow.installation import Kubeflow, persistence_agent
from tests.backend.kubeflow.known import output, workflow
from tests.backend.processes import until
from tests.kubeflow.land_cover import IMAGES, make_images, tree

pytestmark = pytest.mark.backend


def test_a_schedule_starts_a_run(installation: Kubeflow, tmp_path: Path) -> None:
    path = tmp_path / "package.yaml"
    path.write_text(two_steps(installation).text)
    known = run_ids(installation)

    def begun() -> list[str]:
        return [one for one in run_ids(installation) if one not in known]

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


def test_a_scheduled_run_that_fails_before_its_first_step_has_the_reason(
    installation: Kubeflow, tmp_path: Path
) -> None:
    """Without ML Metadata the first driver asks for its run, which the agent reports."""
    if installation.metadata or not installation.cluster.own:
        pytest.skip("needs a release without ML Metadata, and an agent that may be away")
    path = tmp_path / "package.yaml"
    path.write_text(two_steps(installation).text)
    known = run_ids(installation)
    cluster = installation.cluster
    api = cluster.admin()

    def failed() -> list[str]:
        listed = api.find(api.path("argoproj.io/v1alpha1", "workflows")) or {}
        ended = [one for one in listed["items"] if one.get("status", {}).get("phase") == "Failed"]
        return [one["metadata"]["name"] for one in ended if "early" in one["metadata"]["name"]]

    done = cluster.kubectl("delete", "--namespace=kubeflow", "pod", "persistenceagent")
    assert done.returncode == 0, done.stderr
    try:
        words = ("-p", str(path), "--cron", "*/10 * * * * *")
        done = skymill(installation, "schedule", "create", "early", *words)
        assert done.exit_code == 0, done.output
        until(failed, 300)
        assert skymill(installation, "schedule", "disable", "early").exit_code == 0
    finally:
        cluster.apply(persistence_agent())
    begun = until(lambda: [one for one in run_ids(installation) if one not in known], 120)
    for run_id in begun:
        code, outcome = follow(installation, run_id)
    assert (code, outcome["state"], outcome["failed"]) == (1, "FAILED", []), outcome
    assert outcome["error"].startswith("Kubeflow's driver: "), outcome
    assert "not found" in outcome["error"]
    assert "not found" in skymill(installation, "runs", "logs", run_id).output
    assert skymill(installation, "schedule", "delete", "early").exit_code == 0


def test_the_watch_starts_one_run_for_each_state_of_the_data(
    installation: Kubeflow, tmp_path: Path
) -> None:
    """Prepare, in its pod, computes the fingerprint that the watch has started its run for.

    The photographs are broken, so that each run is short: the gate on rejects blocks it.
    """
    data = installation.data / "arriving"
    make_images(data, installation.seed)
    for number in range(IMAGES // 2):
        (data / "field" / f"{number}.png").write_bytes(b"no image")
    compiled = tmp_path / "package.yaml"
    source = {"kind": "folders", "uri": str(VOLUME / "arriving")}
    compiled.write_text(land_cover(installation, ingest={"source": source}))
    here = tree(tmp_path, ingest={"source": {**source, "uri": str(data)}})
    here["watch"] = {"target": "kubeflow", "package": str(compiled), "settle_s": 0}
    config = tmp_path / "skymill.yaml"
    config.write_text(yaml.safe_dump(here))

    def watch(*words: str) -> str:
        environment = {"SKYMILL_KFP_ENDPOINT": installation.endpoint}
        done = CliRunner().invoke(cli, ["watch", str(config), *words], env=environment)
        assert done.exit_code == 0, done.output
        return done.stdout

    known = run_ids(installation)
    for states in range(1, 3):
        for _ in range(3):
            watch("--once")
        begun = [one for one in run_ids(installation) if one not in known]
        assert len(begun) == states, "one run, however often the watch looks"
        state = json.loads(watch("--status", "--json"))
        assert state["active"]["run_id"] == begun[0]
        code, outcome = follow(installation, begun[0])
        assert code == 3, outcome
        assert workflow(installation, begun[0])["status"]["phase"] == "Failed"
        fingerprint = output(installation, begun[0], "prepare", "fingerprint")
        assert state["active"]["fingerprint"] == fingerprint
        for _ in range(2):
            watch("--once")
        assert run_ids(installation)[0] == begun[0], "a run that is blocked is not repeated"
        (data / "roof" / "0.png").write_bytes(b"another image that is none")
