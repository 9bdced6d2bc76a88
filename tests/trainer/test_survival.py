"""A training that is killed, and one that is not."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests import warm
from tests.trainer import doomed
from tests.trainer.endless import train
from trainer.distribution.config import StrategyName
from trainer.distribution.strategy import make_strategy

FIRST_EPOCHS = 3


def rows(folder):
    """Returns the learning curve so far, without a row that is being written."""
    path = folder / "logs/progress.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_a_training_killed_without_warning_goes_on_from_its_last_epoch(repository, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    nowhere = Path(os.devnull)
    process = warm.start(
        "tests.trainer.endless", [str(killed)], stdout=nowhere, stderr=nowhere, cwd=repository
    )
    deadline = time.monotonic() + 240
    while len(rows(killed)) < FIRST_EPOCHS and time.monotonic() < deadline:
        assert process.exitcode is None
        time.sleep(0.05)
    process.kill()
    process.join()
    before = rows(killed)
    assert len(before) >= FIRST_EPOCHS

    epochs = len(before) + 4
    train(str(killed), epochs)
    train(str(whole), epochs)
    resumed, undisturbed = ([row["val_loss"] for row in rows(each)] for each in (killed, whole))
    assert resumed == pytest.approx(undisturbed, rel=1e-3)
    history = json.loads((killed / "logs/history.json").read_text())
    assert history["resumed_after_epochs"] >= FIRST_EPOCHS


def die(repository, folder, strategy, *steps):
    """The exit code of a training in a process of its own."""
    done = warm.run("tests.trainer.doomed", [str(folder), strategy, *steps], cwd=repository)
    return done.returncode, done.stderr


def curve(folder):
    """Returns a row without its duration."""
    return [{**row, "duration_s": 0.0} for row in rows(folder)]


def assert_same_curves(mine, theirs):
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-6)


@pytest.mark.slow
def test_killed_within_epochs_it_ends_as_if_nothing_had_been(repository, tmp_path):
    for steps in ("4", "9"):
        code, _ = die(repository, tmp_path, "one_device", steps)
        assert code == -signal.SIGKILL
    # Steps 2, 4, 6 of an epoch are saved: 4 steps, then 9 more are one epoch of 7 and 6 steps.
    history = doomed.train(f"{tmp_path}/0", make_strategy(StrategyName.ONE_DEVICE))
    assert (history.resumed_after_epochs, history.resumed_after_steps) == (1, 6)
    whole = doomed.train(f"{tmp_path}/whole", make_strategy(StrategyName.ONE_DEVICE))
    assert_same_curves(curve(tmp_path / "0"), curve(tmp_path / "whole"))
    assert (history.best.epoch, history.stopped_early) == (whole.best.epoch, whole.stopped_early)


@pytest.mark.slow
def test_mirrored_is_taken_up_within_an_epoch_as_well(repository, tmp_path):
    code, _ = die(repository, tmp_path, "mirrored", "5")
    assert code == -signal.SIGKILL
    code, errors = die(repository, tmp_path, "mirrored", "0", "0")
    assert code == 0, errors[-3000:]
    history = json.loads((tmp_path / "0/logs/history.json").read_text())
    assert (history["resumed_after_epochs"], history["resumed_after_steps"]) == (0, 4)
    assert history["replicas"] == 2
    assert_same_curves(curve(tmp_path / "0"), curve(tmp_path / "1"))
