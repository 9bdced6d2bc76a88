"""A training as two real processes that communicate over loopback.

They have their libraries imported; tests/kubeflow/test_workers.py starts fresh ones.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import warm
from tests.trainer.conftest import SIDE_PX
from trainer import worker

MODULE = "tests.trainer.worker_result"


def free_ports(count):
    """Returns free ports."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def tf_config(ports, index):
    workers = [f"127.0.0.1:{port}" for port in ports]
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})


def environment_of(ports: Sequence[int], index: int) -> dict[str, str]:
    return {"TF_CONFIG": tf_config(ports, index)}


def start(
    arguments: Sequence[str],
    repository: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> warm.WarmProcess:
    """Starts `python -m arguments`, whose errors go to the log."""
    module, *rest = arguments
    env = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", **(environment or {})}
    nowhere = Path(os.devnull)
    return warm.start(module, rest, stdout=nowhere, stderr=log, cwd=repository, env=env)


@pytest.fixture(scope="module")
def results(repository, tmp_path_factory):
    """The results of both workers and of the same training alone, and the workers' folder."""
    together, alone = (tmp_path_factory.mktemp(name) for name in ("together", "alone"))
    ports = free_ports(2)
    processes = {
        together / f"log{index}": start(
            [MODULE, str(together)],
            repository,
            together / f"log{index}",
            environment_of(ports, index),
        )
        for index in range(2)
    }
    processes[alone / "log"] = start([MODULE, str(alone)], repository, alone / "log")
    try:
        for log, process in processes.items():
            process.join(240)
            assert process.exitcode == 0, log.read_text()[-3000:]
    finally:
        for process in processes.values():
            process.kill()
    read = [json.loads((together / f"{index}.json").read_text()) for index in range(2)]
    return [*read, json.loads((alone / "0.json").read_text())], together


@pytest.mark.slow
def test_two_workers_come_to_what_one_device_does(results):
    (first, second, alone), _ = results
    assert (first["replicas"], second["replicas"], alone["replicas"]) == (2, 2, 1)
    for name in ("loss", "val_loss", "accuracy"):
        assert first[name] == pytest.approx(alone[name], rel=1e-4)
        assert second[name] == pytest.approx(first[name], rel=1e-6)
    np.testing.assert_allclose(first["weights"], alone["weights"], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(first["weights"], second["weights"])


@pytest.mark.slow
def test_random_views_balance_and_averages_are_those_of_one_device(results):
    first, second, alone = (each["viewed"] for each in results[0])
    for name in ("loss", "val_loss"):
        assert first[name] == pytest.approx(alone[name], rel=1e-4)
        assert second[name] == pytest.approx(first[name], rel=1e-6)
    np.testing.assert_allclose(first["weights"], alone["weights"], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(first["weights"], second["weights"])


@pytest.mark.slow
def test_all_workers_find_the_batch_that_spoils_one_of_them(results):
    (first, second, alone), _ = results
    assert "epoch 1, batch 1; example " in alone["bad_row"]
    assert first["bad_row"] == second["bad_row"] == alone["bad_row"]


@pytest.mark.slow
def test_workers_share_each_batch_and_no_example_comes_twice(results):
    (first, second, alone), _ = results
    for mine, theirs, whole in zip(first["rows"], second["rows"], alone["rows"], strict=True):
        assert (len(mine), len(theirs)) == (4, 4)
        assert [*mine, *theirs] == whole
    epoch = [row for rows in (*first["rows"], *second["rows"]) for row in rows]
    assert len(epoch) == len(set(epoch)) == 16


@pytest.mark.slow
def test_the_chief_alone_writes(results):
    _, folder = results
    rows = (folder / "training/logs/progress.jsonl").read_text().splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == [1, 2, 3]
    states = {path.name for path in (folder / "training/checkpoints/last").glob("*.index")}
    assert states == {"ckpt-2.index", "ckpt-3.index"}
    assert not list((folder / "training/checkpoints").rglob("*temp*"))


def start_workers(repository, examples_root, image_spec, folder, epochs, train=None, **model):
    """Both workers of a training in a folder, and their logs."""
    settings = {"strategy": "multi_worker", **(train or {})}
    arguments = arguments_of(folder, examples_root, image_spec, epochs, settings, model)
    ports, logs = free_ports(2), [folder / f"log{index}" for index in range(2)]
    return logs, [
        start(["trainer.worker", *arguments], repository, log, environment_of(ports, index))
        for index, log in enumerate(logs)
    ]


def arguments_of(folder, examples_root, image_spec, epochs, settings, model):
    """The arguments of a training in a folder, whose configuration is written there."""
    train = {
        "model": {"kind": "small_cnn", "filters": [4, 8], **model},
        "batch_size": 8,
        "epochs": epochs,
        "early_stopping": None,
        **settings,
    }
    config = {"ingest": {"image": image_spec.model_dump(mode="json")}, "train": train}
    (folder / "skymill.yaml").write_text(json.dumps(config))
    arguments = [str(folder / "skymill.yaml"), "--examples", str(examples_root)]
    return [*arguments, "--task", "single_label", "--output", str(folder / "out")]


def codes(processes, logs):
    """The exit codes; no process is left behind."""
    try:
        for process in processes:
            process.join(300)
        return [process.exitcode for process in processes]
    finally:
        for process, log in zip(processes, logs, strict=True):
            process.kill()
            print(log.read_text()[-2000:])


def curve_of(folder):
    """Returns the rows of the learning curve so far."""
    path = folder / "out/logs/progress.jsonl"
    return [json.loads(row) for row in path.read_text().splitlines()] if path.exists() else []


def wait_for_an_epoch(folder):
    """Waits until the learning curve in a folder has a row."""
    deadline = time.monotonic() + 240
    while not curve_of(folder) and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.mark.slow
def test_two_workers_leave_one_ensemble_of_the_members_that_one_device_trains(
    repository, examples_root, image_spec, tmp_path
):
    """Its answer is the mean of theirs; each is trained here with its own seed."""
    both, alone = tmp_path / "both", [tmp_path / "first", tmp_path / "second"]
    for folder in (both, *alone):
        folder.mkdir()
    plain = {"batch_norm": False, "dropout": 0}
    logs, processes = start_workers(
        *(repository, examples_root, image_spec, both, 3),
        train={"ensemble": {"members": 2}, "learning_rate": 0.003},
        **plain,
    )
    assert codes(processes, logs) == [0, 0]
    for seed, folder in enumerate(alone):
        own = {"seed": seed, "strategy": "auto", "learning_rate": 0.003}
        assert worker.main(arguments_of(folder, examples_root, image_spec, 3, own, plain)) == 0
    answers = [answer_of(folder) for folder in (both, *alone)]
    together, first, second = (answer["probabilities"].numpy() for answer in answers)
    assert together == pytest.approx((first + second) / 2, abs=2e-3)
    assert not np.allclose(first, second, atol=0.01)
    assert answers[0]["disagreement"].numpy() > 0


def answer_of(folder):
    """Returns the answer of the model in a folder for an image between the classes."""
    model = tf.saved_model.load(str(folder / "out/model"))
    pixels = np.random.default_rng(0).integers(0, 200, (SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
    image = tf.io.encode_png(pixels)[tf.newaxis]
    return model.signatures["serving_default"](image_bytes=image)


@pytest.mark.slow
def test_a_preempted_worker_saves_and_takes_the_other_along(
    repository, examples_root, image_spec, tmp_path
):
    logs, processes = start_workers(repository, examples_root, image_spec, tmp_path, epochs=10**5)
    wait_for_an_epoch(tmp_path)
    processes[1].terminate()
    assert codes(processes, logs) == [143, 143]
    for log in logs:
        assert "Its state is saved" in log.read_text()
    assert list((tmp_path / "out/checkpoints").glob("*/last/*.index"))


@pytest.mark.slow
def test_a_killed_worker_ends_the_other_and_both_go_on_to_one_model(
    repository, examples_root, image_spec, tmp_path
):
    epochs = 20
    arguments = (repository, examples_root, image_spec)
    plain = {"batch_norm": False, "dropout": 0}
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (killed, whole):
        folder.mkdir()
    logs, processes = start_workers(*arguments, killed, epochs, **plain)
    wait_for_an_epoch(killed)
    processes[1].kill()
    assert codes(processes, logs)[1] == -signal.SIGKILL
    assert "Another worker is gone" in logs[0].read_text()
    before = curve_of(killed)
    assert 0 < len(before) < epochs
    for folder in (killed, whole):
        logs, processes = start_workers(*arguments, folder, epochs, **plain)
        assert codes(processes, logs) == [0, 0]
        assert (folder / "out/model/saved_model.pb").is_file()
        counted = json.loads((folder / "out/logs/imbalance.json").read_text())
        assert sum(counted["counts"].values()) == 32
        assert not list((folder / "out/checkpoints").iterdir())
    result = json.loads((killed / "out/logs/history.json").read_text())
    assert result["resumed_after_epochs"] > 0
    resumed, undisturbed = (
        [row["val_loss"] for row in curve_of(folder)] for folder in (killed, whole)
    )
    assert len(resumed) == epochs
    assert resumed == pytest.approx(undisturbed, rel=1e-3)
