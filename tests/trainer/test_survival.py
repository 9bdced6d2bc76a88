"""A training that is killed, and one that is not."""

import json
import subprocess
import sys
import time

import pytest

from tests.trainer.endless import train

FIRST_EPOCHS = 3


def rows(folder):
    """The learning curve, as far as it was told; a row that is being written does not count."""
    path = folder / "logs/progress.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_a_training_killed_without_warning_goes_on_from_its_last_epoch(repository, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.trainer.endless", str(killed)],
        cwd=repository,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while len(rows(killed)) < FIRST_EPOCHS and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    before = rows(killed)
    assert len(before) >= FIRST_EPOCHS

    epochs = len(before) + 4
    train(str(killed), epochs)
    train(str(whole), epochs)
    resumed, undisturbed = ([row["val_loss"] for row in rows(each)] for each in (killed, whole))
    assert resumed == pytest.approx(undisturbed, rel=1e-3)
    history = json.loads((killed / "logs/history.json").read_text())
    assert history["resumed_after_epochs"] >= FIRST_EPOCHS
