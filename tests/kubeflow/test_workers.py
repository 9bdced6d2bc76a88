"""The Trainer step over two real workers in place of pods: a lost one, and faulty data."""

import json
import signal
import threading
import time
from pathlib import Path

import pytest

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from pipelines.config.kubeflow import StepConfig, Workers
from pipelines.kubeflow.cluster.jobset import Owner
from pipelines.kubeflow.contract.workers import WorkerPods
from pipelines.kubeflow.step.worker_set import WorkersFailed
from pipelines.kubeflow.step.workers import owner_of, train_on_pods
from tests.kubeflow.cluster import kubernetes_api
from tests.kubeflow.jobset_controller import Controller, jobset_controller
from tests.trainer.conftest import SIDE_PX, write_examples
from trainer.training.config import TrainConfig
from trainer.training.job import Job
from trainer.training.splits import make_splits

OWNER = Owner("step-pod", "uid", "run-7")
EPOCHS = 8


def job_in(folder: Path) -> Job:
    """A training on the toy examples, as the step's executor gets it."""
    root = write_examples(folder / "step" / "examples")
    patterns = [(f"{root}/Split-{split}/*",) for split in ("train", "eval")]
    train = {"model": {"kind": "small_cnn", "filters": [4]}, "epochs": EPOCHS, "batch_size": 8}
    return Job(
        splits=make_splits(*patterns, "single_label"),
        image=ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX),
        config=TrainConfig.model_validate({**train, "early_stopping": None}),
        model_dir=str(folder / "step" / "model"),
        log_dir=str(folder / "step" / "logs"),
        checkpoint_root=str(folder / "step" / "checkpoints"),
    )


def pods_in(folder: Path) -> WorkerPods:
    workers = Workers(count=2, exchange=str(folder / "exchange"), restarts=1)
    return WorkerPods(workers=workers, step=StepConfig(image="a:1"))


def kill_one(controller: Controller, exchange: Path) -> None:
    """Kills the second worker of the first attempt once there is an epoch."""
    deadline = time.monotonic() + 240
    while not list(exchange.glob("*/logs/progress.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    controller.started[0][1].send_signal(signal.SIGKILL)


@pytest.mark.slow
def test_workers_train_and_a_lost_one_costs_no_finished_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job, pods = job_in(tmp_path), pods_in(tmp_path)
    with kubernetes_api() as (cluster, api), jobset_controller(cluster) as controller:
        exchange = tmp_path / "exchange"
        killer = threading.Thread(target=kill_one, args=(controller, exchange))
        killer.start()
        train_on_pods(job, pods, api, OWNER, poll_s=0.2)
        killer.join()
        assert len(controller.started) == 2
        assert not any("/jobsets/" in path for path in cluster.objects)
    history = json.loads((tmp_path / "step/logs/history.json").read_text())
    assert 0 < history["resumed_after_epochs"] < EPOCHS
    assert len(history["epochs"]) == EPOCHS
    assert (tmp_path / "step/model/saved_model.pb").is_file()
    assert not list(exchange.iterdir())
    said = capsys.readouterr().out
    assert "workers: 2 running" in said
    assert "[worker 0] TrainingError: Another worker is gone" in said


@pytest.mark.slow
def test_data_at_fault_end_the_workers_at_once_and_are_named(tmp_path: Path) -> None:
    job, pods = job_in(tmp_path), pods_in(tmp_path)
    for path in tmp_path.glob("step/examples/Split-train/*"):
        path.write_bytes(b"no record")
    with kubernetes_api() as (cluster, api), jobset_controller(cluster) as controller:
        with pytest.raises(WorkersFailed, match=r"worker . has failed \(exit code 4\): DataError"):
            train_on_pods(job, pods, api, OWNER, poll_s=0.2)
        assert len(controller.started) == 1
        assert not any("/jobsets/" in path for path in cluster.objects)
    assert list((tmp_path / "exchange").iterdir()), "left to go on from"


def test_the_workers_belong_to_the_pod_of_the_step() -> None:
    with kubernetes_api() as (cluster, api):
        labels = {"pipeline/runid": "run-7"}
        spec = {"serviceAccountName": "skymill-steps"}
        pod = {"metadata": {"name": "step", "labels": labels}, "spec": spec}
        cluster.put("v1", "pods", pod)
        environment = {"KFP_POD_NAME": "step", "KFP_POD_UID": "uid"}
        assert owner_of(api, environment) == Owner("step", "uid", "run-7", "skymill-steps")
        with pytest.raises(ConfigError, match="not a step of Kubeflow"):
            owner_of(api, {})
