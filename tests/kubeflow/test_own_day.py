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
from tests.kubeflow.launcher import SUCCEEDED, Backend
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
