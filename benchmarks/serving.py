"""The embedded server under load, against the most that the model itself can do.

    python -m benchmarks.serving [--seconds 5] [--rounds 3] [--model-dir SAVED_MODEL]

In each round the same SavedModel, with the decoding of JPEG in its graph, is run over batches of
32 in a process of its own (the ceiling), then asked by 32 concurrent clients over gRPC and over
REST. Everything shares the machine's cores, the load generator too; its part is shown. Read the
ratios, not the absolute numbers.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from serving.server.process import serve_model_in_subprocess

CLIENTS = 32
BATCH_SIZE = 32
IMAGES = 64
SIZE_PX = 64
AIMS = {"gRPC": (0.5, 0.65), "REST": (0.65, 0.75)}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model-dir", type=Path, help="a SavedModel of the served contract")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skymill-benchmark-") as folder:
        images_file = Path(folder) / "images.txt"
        images_file.write_text("\n".join(image.hex() for image in jpegs(IMAGES)))
        model_dir = options.model_dir
        if model_dir is None:
            model_dir = Path(folder) / "model"
            _child("benchmarks.serving_model", "make", str(model_dir))
        measure(model_dir, images_file, options.seconds, options.rounds)


def measure(model_dir: Path, images_file: Path, seconds: float, rounds: int) -> None:
    """Rounds of ceiling, gRPC and REST, and their medians."""
    rates: dict[str, list[float]] = {"ceiling": [], "gRPC": [], "REST": []}
    print(f"{CLIENTS} clients, {seconds:g} s each, {rounds} rounds; loads in images/s")
    print(f"{'':8} {'rate':>8} {'of ceiling':>10} {'p50':>9} {'p99':>9}  load generator's CPU")
    for _ in range(rounds):
        out = _child(
            "benchmarks.serving_model",
            *("ceiling", str(model_dir), str(images_file), str(BATCH_SIZE), str(seconds)),
        )
        rates["ceiling"].append(json.loads(out)["rate"])
        print(f"{'ceiling':8} {rates['ceiling'][-1]:8.0f}")
        with serve_model_in_subprocess(model_dir, model_name="m") as server:
            for name, kind, address in (
                ("gRPC", "grpc", server.grpc),
                ("REST", "rest", server.rest),
            ):
                load_generator(kind, address, images_file, 2.0)  # not counted
                load = load_generator(kind, address, images_file, seconds)
                rates[name].append(load["requests"] / load["seconds"])
                _print_load(name, rates[name][-1], rates["ceiling"][-1], load)
    print()
    for name, (least, aim) in AIMS.items():
        ratios = [
            rate / ceiling for rate, ceiling in zip(rates[name], rates["ceiling"], strict=True)
        ]
        print(
            f"{name}: {statistics.median(ratios):.2f} of the ceiling, the median of {rounds} "
            f"(at least {least:.2f}, aim {aim:.2f})"
        )


def _print_load(name: str, rate: float, ceiling: float, load: dict[str, float]) -> None:
    cpu = load["cpu_s"] / load["seconds"]
    failures = f"  {load['failures']} FAILED" if load["failures"] else ""
    print(
        f"{name:8} {rate:8.0f} {rate / ceiling:10.2f} {load['p50_ms']:6.1f} ms "
        f"{load['p99_ms']:6.1f} ms  {cpu:.2f} of a core{failures}"
    )


def load_generator(kind: str, address: str, images_file: Path, seconds: float) -> dict[str, float]:
    """Run the load generator in its own process."""
    parts = urlsplit(address)
    out = _child(
        "benchmarks.load",
        *(kind, str(parts.hostname), str(parts.port), "m", str(images_file)),
        *(str(CLIENTS), str(seconds)),
    )
    load: dict[str, float] = json.loads(out)
    return load


def jpegs(count: int) -> list[bytes]:
    """Small JPEGs of smooth noise, always the same ones; about as large as EuroSAT's."""
    generator = np.random.default_rng(0)
    encoded = []
    for _ in range(count):
        coarse = generator.integers(0, 256, (SIZE_PX // 4, SIZE_PX // 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        encoded.append(buffer.getvalue())
    return encoded


def _child(module: str, *arguments: str) -> str:
    command: Sequence[str] = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


if __name__ == "__main__":
    main()
