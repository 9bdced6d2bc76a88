"""A tiny pipeline run: our nodes against stock TFX for the same work, in one run.

Both sides start as a new process, read the same 240 images into examples (stock TFX by an
ExampleGen executor as its guide describes it), compute statistics, infer a schema, validate, train
the same model for one epoch with the same code, evaluate by two slices, and push. Both run Beam's
in-process runner with the same options, and nothing is cached. Stock TFX packs its installation for
Beam's workers in every node with Beam steps, even without workers; "unpacked" is stock TFX with an
option that prevents that.

    python -m benchmarks pipeline [--rounds 5]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from itertools import count, product

from benchmarks.sides import machine_load, take_turns

GOALS = {"wall": 0.5, "cpu": 0.6}


def main() -> None:
    """Prints the seconds of each side and the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, machine_load():
        _run("prepare", folder, count())
        numbers = count()
        rounds = take_turns(
            {side: partial(_run, side, folder, numbers) for side in ("ours", "stock", "unpacked")},
            options.rounds,
        )
        for side in rounds.sides:
            wall, cpu = rounds.typical(side)
            print(f"{side:>8}: {wall:6.1f} s, processors {cpu:6.1f} s")
        for stock, (measure, goal) in product(("stock", "unpacked"), GOALS.items()):
            ratio = rounds.ratio("ours", stock, measure)
            print(f"{measure}: ours / {stock} TFX {ratio} (aim: at most {goal})")


def _run(side: str, folder: str, numbers: "count[int]") -> None:
    number = next(numbers)
    log_path = os.path.join(folder, f"{side}-{number}.log")
    with open(log_path, "wb") as log:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.pipeline_sides", side, folder, str(number)],
            stdout=log,
            stderr=log,
            timeout=600,
        )
    if done.returncode:
        with open(log_path, encoding="utf-8", errors="replace") as file:
            sys.exit(f"{side} failed:\n{file.read()[-3000:]}")
