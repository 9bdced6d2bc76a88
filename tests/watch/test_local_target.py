"""Runs on this machine, started by a watch: real ones, of a source that stops a run at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines.definition.workspace import Workspace
from pipelines.local.record import RUNNING, RunRecord, list_records, write_record
from pipelines.watch.local_target import LocalTarget
from pipelines.watch.target import RunEnd, StartError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> Path:
    """A configuration of scenes without labels: a run of it begins and fails within a second."""
    monkeypatch.setenv("PYTHONPATH", str(repository))
    (tmp_path / "scenes").mkdir()
    tree = {
        "name": "land",
        "workspace": "work",
        "ingest": {
            "source": {"kind": "scenes", "uri": "scenes"},
            "image": {"bands": ["red"]},
        },
        "push": {"model_dir": "models"},
    }
    (tmp_path / "skymill.yaml").write_text(yaml.safe_dump(tree))
    return tmp_path


def target_in(folder: Path) -> LocalTarget:
    return LocalTarget(str(folder / "skymill.yaml"), str(folder / "work"))


def wait_for(look: Callable[[], object]) -> object:
    until = time.monotonic() + 30
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def records(folder: Path) -> list[RunRecord]:
    return list_records(str(folder / "work" / "runs"))


def test_a_run_is_started_found_by_its_key_and_seen_to_end(folder: Path) -> None:
    target = target_in(folder)
    assert target.find("land-1") is None
    run_id = target.start("land-1", print)
    assert target.find("land-1") == run_id
    assert wait_for(lambda: target.ended(run_id)) == RunEnd("failed")
    [record] = records(folder)
    assert (record.run_id, record.key) == (run_id, "land-1")
    assert "no labels" in record.reason


@pytest.mark.slow
def test_two_starts_of_one_key_at_once_are_one_run(folder: Path) -> None:
    command = [sys.executable, "-m", "pipelines.cli", "run", "skymill.yaml", "--key", "land-1"]
    both = [subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        process.communicate()
    assert len(records(folder)) == 1
    again = target_in(folder)
    assert again.start("land-1", print) == records(folder)[0].run_id
    wait_for(lambda: all(child.poll() is not None for child in again._children))
    assert len(records(folder)) == 1


def test_a_claim_that_ran_out_starts_nothing(folder: Path) -> None:
    def refuse() -> None:
        raise StartError("too late")

    with pytest.raises(StartError, match="too late"):
        target_in(folder).start("land-1", refuse)
    assert not (folder / "work").exists()


def test_a_busy_workspace_is_a_start_that_failed(folder: Path) -> None:
    with (
        Workspace(str(folder / "work")).locked(),
        pytest.raises(StartError, match="another run is in progress here"),
    ):
        target_in(folder).start("land-1", print)


def test_a_configuration_that_broke_meanwhile_says_so(folder: Path) -> None:
    (folder / "skymill.yaml").write_text("name: [")
    with pytest.raises(StartError, match="ended with 2.*is not valid YAML"):
        target_in(folder).start("land-1", print)


def test_a_run_that_was_killed_has_ended(folder: Path) -> None:
    """Its process is the watch's child, which stays a zombie until it is reaped."""
    target = target_in(folder)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    target._children.append(child)  # type: ignore[arg-type]
    record = RunRecord("r1", "land", "2026-01-01", key="land-1", process_id=child.pid)
    write_record(str(folder / "work" / "runs" / "r1"), record)
    assert record.outcome == RUNNING
    assert target.ended("r1") is None
    os.kill(child.pid, signal.SIGKILL)
    assert wait_for(lambda: target.ended("r1")) == RunEnd("failed")


def test_a_run_whose_folder_is_gone_has_ended(folder: Path) -> None:
    assert target_in(folder).ended("r1") == RunEnd("gone")
