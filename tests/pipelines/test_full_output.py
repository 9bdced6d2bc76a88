"""A command whose output goes to a disk that is full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("command", [["--help"], ["config", "json-schema"]], ids=["short", "long"])
def test_a_full_disk_for_the_output_is_reported_in_one_sentence(
    command: list[str], repository: Path
) -> None:
    """A short text is written at the end, a long one in between."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(repository)},
        )
    assert done.stderr.startswith("skymill: The disk is full. Make room there"), done.stderr
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
