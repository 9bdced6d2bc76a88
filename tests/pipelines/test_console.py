"""The terminal belongs to a person; the frameworks' noise belongs to a file."""

import subprocess
import sys

PROGRAM = """
import os, subprocess, sys
from pipelines.local.console import noise_to
with noise_to(sys.argv[1]) as terminal:
    os.write(1, b"native noise on 1\\n")
    os.write(2, b"native noise on 2\\n")
    print("python noise")
    subprocess.run(["echo", "noise of a child"])
    terminal.out.print("a result")
    terminal.err.print("progress")
print("after")
"""


def test_noise_goes_to_the_log_and_only_our_lines_to_the_terminal(tmp_path):
    log = tmp_path / "deep" / "framework.log"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(log)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "a result\nafter\n"
    assert done.stderr == "progress\n"
    noise = log.read_text()
    for line in ("native noise on 1", "native noise on 2", "python noise", "noise of a child"):
        assert line in noise


def test_the_terminal_comes_back_when_the_run_raises(tmp_path):
    program = PROGRAM.replace('print("python noise")', "raise SystemExit(5)")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"try:\n  exec({program!r})\nfinally:\n  print('back')",
            str(tmp_path / "log"),
        ],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (5, "back\n")
