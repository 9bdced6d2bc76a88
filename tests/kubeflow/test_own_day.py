"""A schedule whose data change: each run ingests what is there on its own day."""

import datetime
from pathlib import Path

import pytest
import yaml

from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.schedule import Schedule
from pipelines.kubeflow.client.schedules import Schedules
from pipelines.kubeflow.client.server import KubeflowServer
from tests.kubeflow.api_server.server import api_server
from tests.kubeflow.api_server.store import Store
from tests.kubeflow.land_cover import make_images, package
from tests.kubeflow.launcher import FAILED, SKIPPED, SUCCEEDED, Backend
from tests.kubeflow.tiny import submission

pytestmark = pytest.mark.slow


def first_step_alone(text: str) -> dict:
    """The pipeline up to its first step, which is where the data are looked at."""
    spec = next(iter(yaml.safe_load_all(text)))
    spec["root"]["dag"]["tasks"] = {"prepare": spec["root"]["dag"]["tasks"]["prepare"]}
    return spec


def test_each_run_sees_the_data_of_its_own_day(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    make_images(volume / "images")
    backend = Backend(tmp_path, "minio://mlpipeline/v2", "SKYMILL_MOUNT_ROOT")
    backend.warm = True
    now = [datetime.datetime(2026, 3, 2, 12, tzinfo=datetime.UTC).timestamp()]
    fingerprints: list[str] = []

    def execute(run: dict, text: str, values: dict) -> None:
        step = backend.run(text, values)["prepare"]
        assert step.state == SUCCEEDED, step.log[-2000:]
        fingerprints.append(step.parameters["fingerprint"])
        api.store.set_state(run["run_id"], "SUCCEEDED")

    with api_server(Store(clock=lambda: now[0], execute=execute)) as api:
        server = KubeflowServer(Connection(api.url))
        Schedules(server).put(
            submission(first_step_alone(package(volume))), Schedule("nightly", cron="0 0 2 * * *")
        )
        for day in range(3):
            if day == 2:
                (volume / "images" / "roof" / "0.png").unlink()
            now[0] += 86400
            assert len(api.store.tick()) == 1
    first, second, third = fingerprints
    assert first == second, "nothing was new: the steps after come from the cache"
    assert third != first


def test_data_at_fault_end_a_run_without_another_attempt(tmp_path: Path) -> None:
    """Prepare succeeds, as a gate's check does; the step after it has no retries, and fails."""
    volume = tmp_path / "volume"
    make_images(volume / "images")
    spec, platform = yaml.safe_load_all(package(volume))
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["prepare"]["retryPolicy"]["maxRetryCount"] == 1
    first = ("prepare", "stop-on-inputs", "ingest", "baseline")
    spec["root"]["dag"]["tasks"] = {name: tasks[name] for name in first}
    text = yaml.safe_dump_all([spec, platform])
    backend = Backend(tmp_path, "minio://mlpipeline/v2", "SKYMILL_MOUNT_ROOT")
    backend.warm = True
    nowhere = str(volume / "nowhere")
    wrong = [
        ({"data_location": nowhere}, nowhere),
        ({"data_fingerprint": "f" * 64}, "the data has changed since"),
    ]
    for values, said in wrong:
        run = backend.run(text, values)
        states = {name: (task.state, task.attempts) for name, task in run.items()}
        assert states == {
            "prepare": (SUCCEEDED, 1),
            "stop-on-inputs": (FAILED, 1),
            "ingest": (SKIPPED, 0),
            "baseline": (SKIPPED, 0),
        }
        assert said in run["stop-on-inputs"].log
        assert "Traceback" not in run["stop-on-inputs"].log
