"""A watch of the scenes that are to be predicted: here, on Kubeflow and on a schedule."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import pytest
import yaml
from click.testing import CliRunner

from pipelines.cli.main import cli
from pipelines.local.record import list_records
from tests.kubeflow.api_server.server import api_server
from tests.pipelines.conftest import call_warm_skymill
from tests.prediction import models
from tests.prediction.rasters import write_raster

_IMAGE = f"registry.example/skymill/pipeline@sha256:{'0' * 64}"
_NAME = "fields-prediction"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration, version 1 of a model where it pushes, and one dark scene."""
    tree = {
        "name": "fields",
        "workspace": "work",
        "ingest": {"source": {"kind": "folders", "uri": "labelled"}},
        "push": {"model_dir": "models"},
        "prediction": {
            "source": {"kind": "scenes", "uri": "scenes", "tiling": {"size_px": 8}},
            "output": "answers",
        },
        "watch": {"settle_s": 0, "poll_s": 1, "run_poll_s": 1},
        "kubeflow": {
            "pipeline_root": "minio://mlpipeline/v2",
            "steps": {
                "image": _IMAGE,
                "volumes": [{"claim": "skymill", "path": str(tmp_path)}],
            },
        },
    }
    (tmp_path / "skymill.yaml").write_text(yaml.safe_dump(tree))
    push(tmp_path, 1)
    add_scene(tmp_path, "first", 200)
    return tmp_path


def push(folder: Path, version: int, turned: bool = False) -> None:
    models.save_for_rasters(folder / "models/fields" / str(version), turned)


def add_scene(folder: Path, name: str, level: int) -> None:
    """Writes a scene of two tiles; it appears when it is whole."""
    write_raster(folder / "made.tif", np.full((8, 16), level))
    (folder / "scenes").mkdir(exist_ok=True)
    (folder / "made.tif").rename(folder / "scenes" / f"{name}.tif")


@contextmanager
def following(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "pipelines.cli", "watch", "--prediction", "--log", "json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def events_until(process: "subprocess.Popen[str]", event: str) -> list[dict[str, Any]]:
    """Reads the watch's output up to an event."""
    assert process.stderr is not None
    result: list[dict[str, Any]] = []
    for line in process.stderr:
        result.append(json.loads(line))
        if result[-1]["event"] == event:
            return result
    raise AssertionError(f"the watch ended without {event!r}: {result}")


def classes_in(folder: Path) -> dict[str, set[str]]:
    """Returns the classes of each scene's tiles, of one run's predictions."""
    answers = pyarrow.dataset.dataset(folder, format="parquet", exclude_invalid_files=True)
    found: dict[str, set[str]] = {}
    for row in answers.to_table(columns=["uri", "class"]).to_pylist():
        found.setdefault(Path(row["uri"]).stem, set()).add(row["class"])
    return found


@pytest.mark.slow
def test_scenes_that_arrive_are_predicted_by_the_model_that_is_newest_then(folder: Path) -> None:
    with following(folder) as process:
        assert events_until(process, "ended")[-1]["outcome"] == "succeeded"
        [first] = (folder / "answers").iterdir()
        assert first.name.startswith("v1-")
        assert classes_in(first) == {"first": {"dark"}}

        push(folder, 2, turned=True)
        add_scene(folder, "second", 1800)
        assert events_until(process, "ended")[-1]["outcome"] == "succeeded"
        [second] = set((folder / "answers").iterdir()) - {first}
        assert second.name.startswith("v2-")
        assert classes_in(second) == {"first": {"bright"}, "second": {"dark"}}

        time.sleep(3)  # some looks at scenes that stay as they are
        process.send_signal(signal.SIGTERM)
        assert "started" not in {it["event"] for it in events_until(process, "stopped")}
        assert process.wait(30) == 0
    assert [it.outcome for it in list_records(str(folder / "work/runs"))] == ["succeeded"] * 2


@pytest.mark.slow
def test_scenes_that_arrive_start_the_package_on_kubeflow(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = yaml.safe_load((folder / "skymill.yaml").read_text())
    tree["watch"]["target"] = "kubeflow"
    (folder / "skymill.yaml").write_text(yaml.safe_dump(tree))

    def look() -> None:
        done = call_warm_skymill("watch", "--prediction", "--once", cwd=folder)
        assert done.returncode == 0, done.stderr

    with api_server() as api:
        monkeypatch.setenv("SKYMILL_KFP_ENDPOINT", api.url)
        look()
        [run] = api.store.runs.values()
        run["state"] = "SUCCEEDED"
        look()
        assert len(api.store.runs) == 1
        add_scene(folder, "second", 1800)
        look()
        assert len(api.store.runs) == 2
        assert {it["display_name"] for it in api.store.pipelines.values()} == {_NAME}
        assert all(it["display_name"].startswith(_NAME) for it in api.store.runs.values())


@pytest.mark.slow
def test_predictions_recur_on_a_schedule(folder: Path) -> None:
    with api_server() as api:
        create = ["schedule", "create", "nightly", "--prediction", "--cron", "0 0 2 * * *"]
        place = ["-c", str(folder / "skymill.yaml"), "--endpoint", api.url]
        done = CliRunner().invoke(cli, [*create, *place], catch_exceptions=False)
        assert "nightly: created" in done.output
        [schedule] = api.store.recurring.values()
        version = schedule["pipeline_version_reference"]["pipeline_version_id"]
        found = next(yaml.safe_load_all(api.store.texts[version]))
        assert found["pipelineInfo"]["name"] == _NAME
        assert "predict" in found["root"]["dag"]["tasks"]
