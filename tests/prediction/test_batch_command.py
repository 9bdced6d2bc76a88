"""`skymill batch`: its exit codes and its output."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pipelines.cli.batch import command


@pytest.fixture
def batch(archive, photographs_model, tmp_path, monkeypatch):
    """Runs the command over forty photographs and a broken one."""
    monkeypatch.setattr("components.raster.file_state._LONGEST_TICK_NS", 0)
    fixed = [str(archive), "-o", str(tmp_path / "out"), "--model-base", str(photographs_model)]
    return lambda *flags: CliRunner().invoke(command, [*fixed, *flags])


def test_rejects_within_the_limit_are_reported_and_others_are_a_gate(batch, tmp_path):
    found = batch()  # one of 41, where 5 % are allowed
    assert (found.exit_code, "rejected: corrupt 1" in found.output) == (0, True)
    strict = batch("--max-reject-fraction", "0.02")
    assert "already finished" in strict.output
    assert strict.exit_code == 3
    assert "blocked: 1 of 41 images (2.44%) were rejected; the limit is 2.00%" in strict.output
    assert json.loads((tmp_path / "out/summary.json").read_text())["predictions"] == 40


def test_an_overwritten_run_tells_what_it_took_over(batch, archive):
    batch()
    Image.fromarray(np.full((10, 12, 3), 230, np.uint8)).save(archive / "new.png")
    found = batch("--overwrite")
    assert "41 predictions by version 3\n  taken over from an earlier run: 40" in found.output
    Image.fromarray(np.full((10, 12, 3), 20, np.uint8)).save(archive / "new.png")
    assert "taken over" not in batch("--overwrite", "--anew").output
