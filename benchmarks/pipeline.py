"""A tiny pipeline run: our nodes against stock TFX's for the same work, in one run.

Both sides start as a new process, read the same 240 images, compute statistics, infer a schema,
validate, train the same model for one epoch with the same code, evaluate by two slices, and push;
nothing is cached. Stock TFX starts from TFRecords that are made beforehand; ours makes its own.

    python -m benchmarks.pipeline
"""

import os
import subprocess
import sys
import tempfile
import time

ROUNDS = 2


def main() -> None:
    """Prints each side's seconds and the ratio of the medians."""
    with tempfile.TemporaryDirectory() as folder:
        _run("prepare", folder, 0)
        seconds: dict[str, list[float]] = {"ours": [], "stock": []}
        for number in range(ROUNDS):
            for side, times in seconds.items():
                times.append(_run(side, folder, number))
                print(f"{side:>6}: {times[-1]:6.1f} s", flush=True)
    ours, stock = (min(seconds[side]) for side in ("ours", "stock"))
    print(f"ours / stock TFX: {ours / stock:.2f} (at most 0.75, aim 0.60)")


def _run(side: str, folder: str, number: int) -> float:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    log_path = os.path.join(folder, f"{side}-{number}.log")
    began = time.monotonic()
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
    return time.monotonic() - began


if __name__ == "__main__":
    main()
