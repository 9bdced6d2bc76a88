"""Searches by real processes over KerasTuner's protocol: results and kills."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests import warm
from tests.trainer.conftest import write_examples
from tests.trainer.tune.searching import EXAMPLES, long_search, search_of
from trainer.distribution.config import StrategyName
from trainer.training.train import train
from trainer.tune.search import SearchPaths
from trainer.tune.space import apply
from trainer.tune.trial import Rounds, read_curve, run_trial, trial_config
from trainer.tune.tuner import ChiefTuner, TuningError

NO_NUMBER = 1e30


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    write_examples(folder / EXAMPLES)
    return folder


def undisturbed(search, values, folder: Path) -> list[dict]:
    """The curve of the same training without any tuning."""
    config = apply(search.train, values)
    train(search.splits, search.image, config, str(folder / "logs"), str(folder / "checkpoints"))
    return read_curve(str(folder / "logs"))


def losses(curve: list[dict]) -> list[float]:
    return [row["val_loss"] for row in curve]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie has ended, but its parent has not reaped it yet.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"trainer.tune.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def until(condition, process: subprocess.Popen, seconds: float = 240):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None, process.stderr.read()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_a_trial_runs_on_one_device_whatever_the_training_does(tmp_path):
    search = search_of(tmp_path, space={"optimizer": {"values": ["adam", "sgd"]}})
    mirrored = search.train.model_copy(update={"strategy": StrategyName.MIRRORED})
    for base in (search.train, mirrored):
        config = trial_config(replace(search, train=base), {"optimizer": "sgd"})
        assert config.strategy is StrategyName.ONE_DEVICE
        assert config.optimizer == "sgd"


@pytest.mark.slow
def test_two_processes_search_and_a_trial_that_fails_is_recorded(place, tmp_path):
    space = {
        "learning_rate": {"values": [0.02, NO_NUMBER]},
        "optimizer": {"values": ["adam", "sgd"]},
    }
    search = search_of(place, space=space, trials=10, parallel=2, epochs=1)
    tuner = ChiefTuner(search, str(tmp_path / "tuning"))
    tuner.search()
    tuner.publish(str(tmp_path / "out"))

    rows = tuner.results().rows
    assert [(row.rank, row.status) for row in rows] == [
        (1, "completed"),
        (2, "completed"),
        (None, "failed"),
        (None, "failed"),
    ]
    best = rows[0]
    wanted = undisturbed(search, {**best.values, "epochs": 1}, tmp_path)
    assert best.objective == pytest.approx(min(losses(wanted)), rel=1e-4)
    assert best.objective < rows[1].objective
    assert {row.values["learning_rate"] for row in rows[2:]} == {NO_NUMBER}
    assert all("lower learning_rate" in row.message for row in rows[2:])

    with (tmp_path / "out" / "trials.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["rank"] for row in table] == ["1", "2", "", ""]
    assert table[0]["optimizer"] == best.values["optimizer"]
    with Image.open(tmp_path / "out" / "trials.png") as picture:
        assert min(picture.size) > 400
    curves = (tmp_path / "out" / "logs").glob("*/progress.jsonl")
    assert sum(bool(path.read_text()) for path in curves) == 2
    tuner.forget()
    assert not list((tmp_path / "tuning").iterdir())


@pytest.mark.slow
def test_a_search_without_any_usable_trial_says_why(place, tmp_path):
    space = {"learning_rate": {"values": [NO_NUMBER]}}
    search = search_of(place, space=space, trials=3, epochs=1)
    with pytest.raises(TuningError, match="All 1 trials failed.*lower learning_rate"):
        ChiefTuner(search, str(tmp_path)).search()


@pytest.mark.slow
def test_a_trial_that_hyperband_lets_go_on_is_one_training(place, tmp_path):
    search = search_of(place, algorithm="hyperband", space={"learning_rate": {"min": 0, "max": 1}})
    values = {"learning_rate": 0.02}
    logs, checkpoints = str(tmp_path / "trial"), str(tmp_path / "checkpoint")
    first = run_trial(search, values, logs, checkpoints, Rounds(0, 2))
    assert len(read_curve(logs)) == first.epochs == 2
    again = run_trial(search, values, logs, checkpoints, Rounds(0, 2))
    assert again == first, "killed before the chief knew: nothing is left to train"
    second = run_trial(search, values, logs, checkpoints, Rounds(2, 4))
    whole = undisturbed(search, values, tmp_path / "whole")
    assert losses(read_curve(logs)) == pytest.approx(losses(whole), rel=1e-3)
    assert second.objective == pytest.approx(min(losses(whole)), rel=1e-3)
    assert second.epochs == 2


@pytest.mark.slow
def test_killed_workers_are_replaced_and_a_killed_search_is_taken_up(place, repository):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.trainer.tune.searching", str(place)],
        cwd=repository,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    paths = SearchPaths(str(place / "tuning"), long_search(place).digest)

    def ended() -> dict[str, float]:
        outcomes = Path(paths.folder).glob("trial_*/outcome.json")
        return {path.parent.name: path.stat().st_mtime for path in outcomes}

    under_way = f"{paths.folder}/logs/0/progress.jsonl"
    until(lambda: os.path.exists(under_way) and len(read_curve(paths.logs("0"))) > 2, process)
    victim = workers_of(process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: ended(), process)
    workers = workers_of(process.pid)
    assert victim not in workers
    process.kill()
    process.wait()
    process.stderr.close()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(alive(pid) for pid in workers), "a chief's death is its workers'"

    before = ended()
    assert 0 < len(before) < 4
    tuner = ChiefTuner(long_search(place), paths.root)
    tuner.search()
    after = ended()
    assert {name: after[name] for name in before} == before, "what had ended is not run again"
    rows = tuner.results().rows
    assert [row.status for row in rows] == ["completed"] * 4
    assert all(len(read_curve(paths.logs(row.trial))) == 15 for row in rows)


@pytest.mark.slow
def test_workers_elsewhere_need_a_folder_and_kerastuner_s_variables(place, tmp_path, repository):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    workers = {"host": "127.0.0.1", "port": port, "exchange": str(tmp_path)}
    space = {"optimizer": {"values": ["adam", "sgd"]}}
    search = search_of(place, space=space, trials=2, epochs=1, workers=workers)
    protocol = {
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
        "KERASTUNER_TUNER_ID": "worker-0",
    }
    nowhere = Path(os.devnull)
    worker = warm.start(
        "trainer.tune.worker",
        [str(tmp_path), "--patience-s", "120"],
        stdout=nowhere,
        stderr=nowhere,
        cwd=repository,
        env={**os.environ, **protocol},
    )
    try:
        tuner = ChiefTuner(search, str(tmp_path))
        tuner.search()
        worker.join(60)
        assert worker.exitcode == 0
    finally:
        worker.kill()
        worker.join()
    assert [row.status for row in tuner.results().rows] == ["completed"] * 2
    seen = json.loads(Path(SearchPaths(str(tmp_path), search.digest).search).read_text())
    assert seen["splits"]["train"][0].startswith(str(tmp_path)), "the examples came along"
