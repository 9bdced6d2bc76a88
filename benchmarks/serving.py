"""The embedded server under load, against the model's maximum throughput on the same cores.

    python -m benchmarks serving [--seconds 5] [--rounds 5] [--processes 2]
                                 [--grpc-library ngh2] [--model-dir SAVED_MODEL]

In each round the same SavedModel, with the decoding of JPEG in its graph, runs without a server, by
the call that the server makes: in one process with TensorFlow's own threads, and in a process per
core with one thread each, in batches of 16 and of 32. The fastest is the ceiling. Then it serves 32
concurrent clients over gRPC and over REST, and one client, whose latency is compared with that of a
batch of one in process. By default the server has a process per core. The load generator shares
these cores, while the model alone has no clients: a further ratio adds their cost to the ceiling.
Read the ratios, not the absolute numbers.

Besides the ratio of rates, the ratio of processor time per image is printed: that of the model
alone, to that of the server and the load generator. The two agree where nothing else runs and no
core ever waits. Only the second can be measured on a machine that others use.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from benchmarks.sides import machine_load, ratio_of
from serving.server.process import serve_model_in_subprocess

CLIENTS = 32
BATCH_SIZES = (16, 32)
IMAGES = 64
SIZE_PX = 64
AIMS = {"gRPC": 0.65, "REST": 0.75}
#: Maximum ratio of p99 to p50.
_MOST_TAIL = 4


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="of the server")
    parser.add_argument("--grpc-library", choices=("grpcio", "ngh2"), default="grpcio")
    parser.add_argument("--model-dir", type=Path, help="a SavedModel of the served contract")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skymill-benchmark-") as folder:
        images_file = Path(folder) / "images.txt"
        images_file.write_text("\n".join(image.hex() for image in jpegs(IMAGES)))
        model_dir = options.model_dir
        if model_dir is None:
            model_dir = Path(folder) / "model"
            make_model(model_dir)
        settings = {"processes": options.processes, "grpc_library": options.grpc_library}
        measure(model_dir, images_file, settings, options.seconds, options.rounds)


def measure(
    model_dir: Path,
    images_file: Path,
    settings: Mapping[str, Any],
    seconds: float,
    rounds: int,
) -> None:
    """Measures rounds of ceiling, gRPC and REST and prints the medians of the ratios."""
    print(f"{CLIENTS} clients, {seconds:g} s each, {rounds} rounds, server: {settings}")
    print(
        "             images/s  of ceiling       p50       p99  CPU/image: server  load generator"
    )
    ratios: dict[str, list[float]] = {name: [] for name in AIMS}
    shares: dict[str, list[float]] = {name: [] for name in AIMS}
    shares_with_clients: dict[str, list[float]] = {name: [] for name in AIMS}
    beyond: dict[str, list[float]] = {name: [] for name in AIMS}
    tails: dict[str, list[float]] = {name: [] for name in AIMS}
    idle: dict[str, list[float]] = {name: [] for name in AIMS}
    cores = os.cpu_count() or 1
    with (
        machine_load(),
        model_processes(model_dir, images_file, BATCH_SIZES, seconds, 1, 0) as one_process,
        model_processes(model_dir, images_file, BATCH_SIZES, seconds, cores, 1) as one_a_core,
        model_processes(model_dir, images_file, (1,), 1.0, 1, 0) as single_on_all_cores,
        model_processes(model_dir, images_file, (1,), 1.0, 1, 1) as single_on_one_core,
        serve_model_in_subprocess(model_dir, model_name="m", settings=settings) as server,
    ):
        addresses = {"gRPC": server.grpc, "REST": server.rest}
        for name, address in addresses.items():
            load_generator(name.lower(), address, images_file, CLIENTS, 2.0)  # warm-up
        for _ in range(rounds):
            alone = {"one process": one_process(), f"{cores} processes": one_a_core()}
            for name, measured in alone.items():
                print(f"{name:12} {measured['rate']:8.0f} {'':32} {measured['cpu_us']:14.0f} us")
            ceiling = max(measured["rate"] for measured in alone.values())
            model_us = min(measured["cpu_us"] for measured in alone.values())
            single_ms = 1000 / max(single_on_all_cores()["rate"], single_on_one_core()["rate"])
            for name, address in addresses.items():
                cpu_began = cpu_s_below(server.pid)
                load = load_generator(name.lower(), address, images_file, CLIENTS, seconds)
                load["server_cpu_s"] = cpu_s_below(server.pid) - cpu_began
                ratios[name].append(load["requests"] / load["seconds"] / ceiling)
                server_us = 1e6 * load["server_cpu_s"] / load["requests"]
                generator_us = 1e6 * load["cpu_s"] / load["requests"]
                served_us = server_us + generator_us
                shares[name].append(model_us / served_us)
                shares_with_clients[name].append((model_us + generator_us) / served_us)
                beyond[name].append(server_us - model_us)
                tails[name].append(load["p99_ms"] / load["p50_ms"])
                _print_load(name, ratios[name][-1], load)
                alone_ms = load_generator(name.lower(), address, images_file, 1, 1.0)["p50_ms"]
                idle[name].append(alone_ms - single_ms)
        print()
        for name, aim in AIMS.items():
            print(f"{name}: {ratio_of(ratios[name])} of the ceiling (aim: at least {aim:.2f})")
            print(f"{name}: {ratio_of(shares[name])} of the ceiling by processor time")
            print(
                f"{name}: {ratio_of(shares_with_clients[name])} by processor time, if the ceiling "
                "pays for the same clients"
            )
            print(
                f"{name}: {median(beyond[name]):.0f} us of the server's processor time for an "
                "image are not the model's"
            )
            print(f"{name}: p99 / p50 {ratio_of(tails[name])} (aim: at most {_MOST_TAIL})")
            print(
                f"{name}: one client waits {median(idle[name]):.2f} ms longer than for the model "
                "alone (aim: at most 1)"
            )


def _print_load(name: str, ratio: float, load: dict[str, float]) -> None:
    count = max(1, load["requests"])
    failures = f"  {load['failures']} FAILED" if load["failures"] else ""
    print(
        f"{name:12} {load['requests'] / load['seconds']:8.0f} {ratio:11.2f} "
        f"{load['p50_ms']:6.1f} ms {load['p99_ms']:6.1f} ms "
        f"{1e6 * load['server_cpu_s'] / count:14.0f} us {1e6 * load['cpu_s'] / count:12.0f} us"
        f"{failures}"
    )


@contextmanager
def model_processes(
    model_dir: Path,
    images_file: Path,
    batch_sizes: Sequence[int],
    seconds: float,
    count: int,
    threads: int,
) -> Iterator[Callable[[], dict[str, float]]]:
    """Runs the model alone in processes; each call measures all of them at once.

    Args:
        model_dir: the SavedModel.
        images_file: its images.
        batch_sizes: batch sizes of its calls; the fastest counts.
        seconds: duration of a measurement.
        count: number of processes.
        threads: threads of each; 0 leaves them to TensorFlow.
    """
    command = [sys.executable, "-m", "benchmarks.serving_model", "ceiling", str(model_dir)]
    command += [str(images_file), ",".join(map(str, batch_sizes)), str(seconds), str(threads)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
                )
            )
            for _ in range(count)
        ]
        for process in processes:
            assert process.stdout
            process.stdout.readline()

        def measure_once() -> dict[str, float]:
            for process in processes:
                assert process.stdin
                process.stdin.write("\n")
            measured = []
            for process in processes:
                assert process.stdout
                measured.append(json.loads(process.stdout.readline()))
            rates = [one["rate"] for one in measured]
            return {"rate": sum(rates), "cpu_us": median(one["cpu_us"] for one in measured)}

        yield measure_once
        for process in processes:
            assert process.stdin
            process.stdin.close()


def cpu_s_below(pid: int) -> float:
    """Returns the CPU seconds so far of a process and its descendants, from Linux's /proc."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(_cpu_s(each) for each in (pid, *map(int, children)))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_generator(
    kind: str, address: str, images_file: Path, clients: int, seconds: float
) -> dict[str, float]:
    """Runs the load generator in its own process."""
    parts = urlsplit(address)
    out = _child(
        "benchmarks.load",
        *(kind, str(parts.hostname), str(parts.port), "m", str(images_file)),
        *(str(clients), str(seconds)),
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
