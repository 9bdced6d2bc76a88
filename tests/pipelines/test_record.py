"""The record of a run, also after the death of its process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.raster.errors import DataError
from pipelines.definition.workspace import Workspace, WorkspaceBusyError
from pipelines.local.process_mark import mark_of
from pipelines.local.record import (
    BLOCKED,
    FAILED,
    RUNNING,
    Artifact,
    NodeRecord,
    RunRecord,
    find_record,
    list_records,
    new_run_id,
    read_record,
    write_record,
)


def a_record(**changes):
    pushed = Artifact("PushedModel", "/w/pushed/4", 4, {"pushed_version": 7, "pushed": 1})
    model = Artifact("Model", "/w/model/3", 3)
    nodes = (
        NodeRecord("Trainer", "complete", 12.5, {}, {"model": (model,)}),
        NodeRecord("Push", "complete", 0.5, {"model": (3,)}, {"pushed": (pushed,)}),
    )
    fields = {"run_id": "1", "name": "roofs", "started": "2026-01-01T00:00:00+00:00"}
    return RunRecord(**(fields | {"nodes": nodes, "process_id": os.getpid()} | changes))


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    record = a_record().closed(BLOCKED, "accuracy is too low")
    write_record(str(tmp_path), record)
    assert read_record(str(tmp_path)) == record


def test_the_pushed_version_is_that_of_the_push_node():
    assert a_record().pushed_version == 7
    assert a_record(nodes=()).pushed_version is None


def test_a_run_whose_process_is_gone_counts_as_failed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    write_record(str(tmp_path), a_record(process_id=process.pid))
    assert read_record(str(tmp_path)).outcome == FAILED


def test_a_run_that_goes_on_counts_as_running(tmp_path):
    write_record(str(tmp_path), a_record())
    assert read_record(str(tmp_path)).outcome == RUNNING


def test_a_process_is_identified_by_its_boot_and_its_start(tmp_path):
    """The clock of the machine knows when a program with an unhandy name was started."""
    program = tmp_path / "a) R 1 (b"
    program.symlink_to(sys.executable)
    process = subprocess.Popen([program, "-c", "import time; time.sleep(60)"])
    try:
        boot, ticks = mark_of(process.pid).split("/")
        since_boot = float(Path("/proc/uptime").read_text().split()[0])
    finally:
        process.kill()
        process.wait()
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert int(ticks) / os.sysconf("SC_CLK_TCK") == pytest.approx(since_boot, abs=10)
    assert mark_of(process.pid) == ""


def test_another_process_of_the_same_id_is_not_the_run(tmp_path):
    boot, ticks = mark_of(os.getpid()).split("/")
    for mark, outcome in (
        (f"{boot}/{ticks}", RUNNING),
        (f"{boot}/{int(ticks) - 1}", FAILED),
        (f"another-boot/{ticks}", FAILED),
    ):
        write_record(str(tmp_path), a_record(process_mark=mark))
        assert read_record(str(tmp_path)).outcome == outcome


def test_a_record_of_before_there_were_marks_is_read(tmp_path):
    write_record(str(tmp_path), a_record())
    path = tmp_path / "run.json"
    tree = json.loads(path.read_text())
    del tree["process_mark"]
    path.write_text(json.dumps(tree))
    assert read_record(str(tmp_path)) == a_record()


def test_a_record_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, c=call: (done.append(n), c(*a)))
    write_record(str(tmp_path), a_record())
    assert done == ["fsync", "replace"]


def test_a_damaged_record_does_not_hide_the_others(tmp_path):
    write_record(str(tmp_path / "1"), a_record(key="land-1"))
    for number, text in enumerate(("", "{", "[]", "{}", '{"nodes": [{}]}', '{"nodes": 1}')):
        (tmp_path / f"2{number}").mkdir()
        (tmp_path / f"2{number}" / "run.json").write_text(text)
    assert [record.key for record in list_records(str(tmp_path))] == ["land-1"]
    assert find_record(str(tmp_path), "land-1") is not None


def test_runs_are_listed_newest_first(tmp_path):
    for run_id in ("20260101", "20260103", "20260102"):
        write_record(str(tmp_path / run_id), a_record(run_id=run_id))
    assert [r.run_id for r in list_records(str(tmp_path))] == ["20260103", "20260102", "20260101"]


def test_no_runs_yet_is_an_empty_list(tmp_path):
    assert list_records(str(tmp_path / "none")) == []


def test_a_damaged_record_is_an_error_that_names_it(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"run\.json: no readable record"):
        read_record(str(tmp_path))


def test_run_ids_differ_and_sort_by_time():
    ids = [new_run_id() for _ in range(50)]
    assert ids == sorted(set(ids))


def test_a_node_that_ends_replaces_its_start():
    record = a_record(nodes=()).with_node(NodeRecord("Trainer", "running"))
    record = record.with_node(NodeRecord("Trainer", "failed", 3.0))
    assert [(n.node_id, n.state) for n in record.nodes] == [("Trainer", "failed")]


def test_two_runs_in_one_workspace_are_refused_and_the_first_keeps_it(tmp_path):
    workspace = Workspace(str(tmp_path))
    with (
        workspace.locked(),
        pytest.raises(WorkspaceBusyError, match="another run is in progress"),
        workspace.locked(),
    ):
        pass
    with workspace.locked():
        pass
