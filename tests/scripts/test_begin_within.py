"""A run with a time limit reports the tests that it skipped."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("limit", "code", "outcome"),
    [(0, 0, "2 skipped"), (600, 1, "1 failed, 1 passed")],
)
def test_tests_whose_turn_comes_too_late_are_skipped_by_name(
    repository, tmp_path, limit, code, outcome
):
    file = tmp_path / "test_two.py"
    file.write_text("def test_a(): pass\ndef test_b(): assert False\n")
    options = ["-p", "tests.begin_within", "-p", "no:cacheprovider", "-c", os.devnull, "-rs"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--begin-within={limit}", str(file)],
        cwd=repository,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # they take longest to start
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert outcome in done.stdout
    assert ("not begun: 0 s were up" in done.stdout) == (limit == 0)
