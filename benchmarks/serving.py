"""The embedded server under load, against the upper bound set by the model itself.

    python -m benchmarks.serving [--seconds 5] [--rounds 3] [--processes 2]
                                 [--model-dir SAVED_MODEL]

In each round the same SavedModel, with the decoding of JPEG in its graph, runs over batches of 32
in a process of its own (the ceiling), then serves 32 concurrent clients over gRPC and over REST. By
default the server has as many processes as the machine has cores. The load generator shares these
cores; its part is shown. Read the ratios, not the absolute numbers.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="of the server")
    parser.add_argument("--model-dir", type=Path, help="a SavedModel of the served contract")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for the child processes
    with tempfile.TemporaryDirectory(prefix="skymill-benchmark-") as folder:
        images_file = Path(folder) / "images.txt"
        images_file.write_text("\n".join(image.hex() for image in jpegs(IMAGES)))
        model_dir = options.model_dir
        if model_dir is None:
            model_dir = Path(folder) / "model"
            make_model(model_dir)
        measure(model_dir, images_file, options.processes, options.seconds, options.rounds)


def measure(
    model_dir: Path, images_file: Path, processes: int, seconds: float, rounds: int
) -> None:
    """Measures rounds of ceiling, gRPC and REST and prints the medians of the ratios."""
    print(f"{CLIENTS} clients, {processes} server processes, {seconds:g} s each, {rounds} rounds")
    print("         images/s  of ceiling       p50       p99  CPU/image: server  load generator")
    ratios: dict[str, list[float]] = {name: [] for name in AIMS}
    with (
        ceiling_process(model_dir, images_file, seconds) as measure_ceiling,
        serve_model_in_subprocess(
            model_dir, model_name="m", settings={"processes": processes}
        ) as server,
    ):
        addresses = {"gRPC": server.grpc, "REST": server.rest}
        for name, address in addresses.items():
            load_generator(name.lower(), address, images_file, 2.0)  # warm-up, not counted
        for _ in range(rounds):
            ceiling = measure_ceiling()
            print(f"ceiling  {ceiling['rate']:8.0f} {'':32} {ceiling['cpu_us']:14.0f} us")
            for name, address in addresses.items():
                cpu_began = _cpu_s_below(server.pid)
                load = load_generator(name.lower(), address, images_file, seconds)
                load["server_cpu_s"] = _cpu_s_below(server.pid) - cpu_began
                ratios[name].append(load["requests"] / load["seconds"] / ceiling["rate"])
                _print_load(name, ratios[name][-1], load)
    print()
    for name, (least, aim) in AIMS.items():
        print(
            f"{name}: {statistics.median(ratios[name]):.2f} of the ceiling, the median of "
            f"{rounds} (at least {least:.2f}, aim {aim:.2f})"
        )


def _print_load(name: str, ratio: float, load: dict[str, float]) -> None:
    count = max(1, load["requests"])
    failures = f"  {load['failures']} FAILED" if load["failures"] else ""
    print(
        f"{name:8} {load['requests'] / load['seconds']:8.0f} {ratio:11.2f} "
        f"{load['p50_ms']:6.1f} ms {load['p99_ms']:6.1f} ms "
        f"{1e6 * load['server_cpu_s'] / count:14.0f} us {1e6 * load['cpu_s'] / count:12.0f} us"
        f"{failures}"
    )


@contextmanager
def ceiling_process(
    model_dir: Path, images_file: Path, seconds: float
) -> Iterator[Callable[[], dict[str, float]]]:
    """Runs the model alone in a process; each call measures it for some seconds."""
    command = [sys.executable, "-m", "benchmarks.serving_model", "ceiling"]
    command += [str(model_dir), str(images_file), str(BATCH_SIZE), str(seconds)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def measure_once() -> dict[str, float]:
            stdin.write("\n")
            measured: dict[str, float] = json.loads(stdout.readline())
            return measured

        yield measure_once
        stdin.close()


def _cpu_s_below(pid: int) -> float:
    """Returns the CPU seconds so far of a process and its descendants, from Linux's /proc."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(_cpu_s(each) for each in (pid, *map(int, children)))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_generator(kind: str, address: str, images_file: Path, seconds: float) -> dict[str, float]:
    """Runs the load generator in its own process."""
    parts = urlsplit(address)
    out = _child(
        "benchmarks.load",
        *(kind, str(parts.hostname), str(parts.port), "m", str(images_file)),
        *(str(CLIENTS), str(seconds)),
    )
    load: dict[str, float] = json.loads(out)
    return load


def make_model(folder: Path) -> None:
    """Writes the benchmark's model, without TensorFlow in this process."""
    _child("benchmarks.serving_model", "make", str(folder))


def jpegs(count: int) -> list[bytes]:
    """Returns small JPEGs of smooth noise, always the same, about as large as EuroSAT's."""
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
