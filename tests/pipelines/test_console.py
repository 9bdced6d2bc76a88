"""The terminal shows our own lines; the frameworks' output goes to a file."""

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from pipelines.local.console import plain_table
from pipelines.local.record import FAILED, RunRecord, write_record

PROGRAM = """
import os, subprocess, sys
from pipelines.local.console import output_to_log
with output_to_log(sys.argv[1]) as terminal:
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


LONG = "/data/" + "deep-folder/" * 30 + "a file of many words.tif"
IDS = [f"20260101T00000{number}.123456Z" for number in range(3)]
TABLE = """
import sys
from pipelines.local.console import console_on, plain_table
table = plain_table("run", "why", whole=("run",))
for name in sys.argv[2:]:
    table.add_row(name, sys.argv[1])
console_on().print(table)
console_on().print(sys.argv[1])
"""


def test_into_a_pipe_every_line_is_whole():
    done = subprocess.run(
        [sys.executable, "-c", TABLE, LONG, *IDS],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "40"},
    )
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[1:] == [*(f"{name}  {LONG}" for name in IDS), LONG]


def test_on_a_narrow_terminal_ids_stay_whole_and_nothing_is_cut():
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    table = plain_table("run", "why", whole=("run",))
    table.add_row(IDS[0], LONG)
    console.print(table)
    text = console.file.getvalue()
    assert IDS[0] in text
    folded = "".join(line[len(IDS[0]) :] for line in text.splitlines()[1:])
    assert folded.replace(" ", "") == LONG.replace(" ", "")
    assert "…" not in text


def listed_runs(tmp_path: Path) -> list[str]:
    for name in IDS:
        record = RunRecord(name, "land-cover", "2026-01-01T00:00:00+00:00")
        record = record.closed(FAILED, f"{LONG} [tag] cannot be read\nsecond line")
        write_record(str(tmp_path / "runs" / name), record)
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "runs", "--workspace", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "60"},
    )
    return done.stdout.splitlines()


def test_runs_in_a_pipe_have_a_line_each_with_the_whole_reason(tmp_path):
    head, *lines = listed_runs(tmp_path)
    assert head.split() == ["run", "model", "outcome", "version", "started", "(UTC)", "why"]
    assert [line.split()[0] for line in lines] == IDS[::-1]
    assert all(line.rstrip().endswith(f"{LONG} [tag] cannot be read") for line in lines)
