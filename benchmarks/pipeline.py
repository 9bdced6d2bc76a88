"""A tiny pipeline run: our nodes against stock TFX for the same work, in one run.

Both sides start as a new process, read the same 240 images, compute statistics, infer a schema,
validate, train the same model for one epoch with the same code, evaluate by two slices, and push;
nothing is cached. Stock TFX starts from prepared TFRecords; ours makes its own.

    python -m benchmarks.pipeline
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ROUNDS = 2


def main() -> None:
    """Prints the seconds of each side and the ratios of the better rounds."""
    with tempfile.TemporaryDirectory() as folder:
        _run("prepare", folder, 0)
        runs: dict[str, list[Cost]] = {"ours": [], "stock": []}
        for number in range(ROUNDS):
            for side, costs in runs.items():
                costs.append(_run(side, folder, number))
                print(f"{side:>6}: {costs[-1].wall:6.1f} s, CPU {costs[-1].cpu:6.1f} s", flush=True)
    for what in Cost._fields:
        ours, stock = (min(getattr(cost, what) for cost in runs[side]) for side in runs)
        print(f"{what}: ours / stock TFX {ours / stock:.2f} (at most 0.75, aim 0.60)")


class Cost(NamedTuple):
    """Wall-clock and processor seconds; processor time varies less on a busy machine."""

    wall: float
    cpu: float


def _run(side: str, folder: str, number: int) -> Cost:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    log_path = os.path.join(folder, f"{side}-{number}.log")
    began, used = time.monotonic(), _cpu_of_children()
    with open(log_path, "wb") as log:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.pipeline_sides", side, folder, str(number)],
            stdout=log,
            stderr=log,
            env=environment,
            timeout=600,
        )
    if done.returncode:
        with open(log_path, encoding="utf-8", errors="replace") as file:
            sys.exit(f"{side} failed:\n{file.read()[-3000:]}")
    return Cost(time.monotonic() - began, _cpu_of_children() - used)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
