"""A soak test: the embedded server under concurrent load and faults, for minutes.

    python -m benchmarks soak [--seconds 300] [--processes 2]

Clients of both protocols send requests without pause through the project's own client, and check
the answers. Meanwhile versions are added and removed, broken ones among them; one of the server's
processes is killed with SIGKILL whenever its successor answers; and hostile requests
(`benchmarks.hostile`) arrive. The first process is never killed, so that its leaks of memory or
descriptors show.

Prints requests, failures, memory and descriptors. The exit code is 1 if a client's request failed
or had a wrong answer, if a hostile request was not refused, or if the
first process ended, or holds more than GROWTH_MB or GROWTH_FDS beyond what it held at the start.
"""

import argparse
import itertools
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.hostile import LOST, MODEL, Target, attacks
from serving.client import ClientError, connect
from serving.server.process import ServerProcess, serve_in_subprocess
from serving.tasks.base import AnyPrediction
from serving.tasks.single_label.answer import Prediction

GROWTH_MB = 600  # the bytes in flight that the settings allow, and memory that malloc retains
GROWTH_FDS = 64
_SETTLE_S = 4.0
_PAUSE_S = 0.02
SETTINGS = {
    "poll_interval_s": 0.5,
    "header_timeout_s": 2,
    "transfer_timeout_s": 5,
    "max_bytes_in_flight": 256 << 20,
}


@dataclass
class Outcome:
    """Measurements of a soak."""

    requests: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    swaps: int = 0
    kills: int = 0
    memory_mb: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Returns the reasons why the soak failed; empty if it passed."""
        found = list(self.failures)
        if len(self.memory_mb) < 2:
            return [*found, "the first process ended"]
        grown_mb = self.memory_mb[-1] - self.memory_mb[0]
        if grown_mb > GROWTH_MB:
            found.append(f"memory grew by {grown_mb} MB, more than {GROWTH_MB}")
        grown = self.descriptors[-1] - self.descriptors[0]
        if grown > GROWTH_FDS:
            found.append(f"descriptors grew by {grown}, more than {GROWTH_FDS}")
        return found

    def report(self) -> str:
        """Formats the figures as lines of text."""
        lines = [
            *(f"{name:10} {count:8} requests" for name, count in sorted(self.requests.items())),
            f"failures   {len(self.failures):8}",
            f"versions   {self.swaps:8}",
            f"kills      {self.kills:8}",
            f"memory     {_arrow(self.memory_mb)} MB (the process that lived throughout)",
            f"descriptors {_arrow(self.descriptors)}",
            "hostile requests:",
            *(f"  {count:6} {name}" for name, count in sorted(self.refusals.items())),
        ]
        return "\n".join(lines)


def _arrow(figures: Sequence[int]) -> str:
    return f"{figures[0]} -> {figures[-1]}, at most {max(figures)}" if figures else "none"


def soak(
    model: Path,
    images: Sequence[bytes],
    folder: Path,
    *,
    seconds: float,
    processes: int = 2,
    grpc_library: str = "grpcio",
) -> Outcome:
    """Serves copies of the SavedModel from `folder` under load for some seconds."""
    outcome = Outcome()
    base = folder / "served"
    base.mkdir()
    shutil.copytree(model, base / "1")
    settings = {**SETTINGS, "processes": processes, "grpc_library": grpc_library}
    with serve_in_subprocess(base, model_name=MODEL, settings=settings) as server:
        target = Target(server.grpc, server.rest)
        right = _right_answers(target, images)
        first = min(_children(server.pid))
        with _load(target, images, right, outcome):
            _measure(first, outcome)
            stop = time.monotonic() + seconds
            with _threads(
                stop,
                lambda: _swap(model, base, outcome),
                lambda: _kill(server, first, outcome),
                *(_Attacker(target, outcome) for _ in range(2)),
            ):
                while time.monotonic() < stop:
                    time.sleep(1.0)
                    _measure(first, outcome)
        time.sleep(_SETTLE_S)
        _measure(first, outcome)
    return outcome


def _class_of(answer: AnyPrediction) -> str:
    """Returns the class of a single-label prediction, which the benchmark's model gives."""
    assert isinstance(answer, Prediction)
    return answer.class_name


def _right_answers(target: Target, images: Sequence[bytes]) -> list[str]:
    with connect(target.grpc, model=MODEL) as client:
        return [_class_of(client.predict([image])[0]) for image in images]


@contextmanager
def _load(
    target: Target, images: Sequence[bytes], right: Sequence[str], outcome: Outcome
) -> Iterator[None]:
    stop = threading.Event()

    def ask(address: str) -> None:
        with connect(address, model=MODEL) as client:
            for index in itertools.cycle(range(len(images))):
                if stop.is_set():
                    return
                try:
                    [answer] = client.predict([images[index]])
                    if _class_of(answer) != right[index]:
                        outcome.failures.append(f"{address}: a wrong answer: {answer}")
                except ClientError as error:
                    outcome.failures.append(f"{type(error).__name__}: {error}")
                outcome.requests[address.partition(":")[0]] += 1
                time.sleep(_PAUSE_S)

    asking = [
        threading.Thread(target=ask, args=(address,))
        for address in (target.grpc, target.rest)
        for _ in range(3)
    ]
    for thread in asking:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in asking:
            thread.join()


@contextmanager
def _threads(stop: float, *acts: Callable[[], None]) -> Iterator[None]:
    """Repeats each act in a thread of its own until the stop time."""

    def repeat(act: Callable[[], None]) -> None:
        while time.monotonic() < stop:
            act()

    threads = [threading.Thread(target=repeat, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def _swap(model: Path, base: Path, outcome: Outcome) -> None:
    """Adds a version, every third one broken, and keeps two of the older ones."""
    numbers = sorted(int(entry.name) for entry in base.iterdir() if entry.name.isdigit())
    hidden = base / ".new"
    shutil.copytree(model, hidden)
    if numbers[-1] % 3 == 0:
        (hidden / "saved_model.pb").write_bytes(b"broken")
    hidden.rename(base / str(numbers[-1] + 1))
    for number in numbers[:-3]:
        shutil.rmtree(base / str(number))
    outcome.swaps += 1
    time.sleep(2.0)


def _kill(server: ServerProcess, first: int, outcome: Outcome) -> None:
    """Kills one of the later processes as soon as it listens."""
    time.sleep(1.0)
    others = _children(server.pid) - {first}
    listening = {pid for pid in others if _listens(pid, server)}
    if others and others == listening:
        os.kill(max(listening), signal.SIGKILL)
        outcome.kills += 1


class _Attacker:
    """Sends the attacks in turn."""

    def __init__(self, target: Target, outcome: Outcome) -> None:
        self._target = target
        self._outcome = outcome
        self._next = itertools.cycle(attacks())

    def __call__(self) -> None:
        attack = next(self._next)
        try:
            answer = attack.run(self._target)
        except OSError:
            answer = "lost"
        self._outcome.refusals[f"{attack.name}: {answer}"] += 1
        if answer not in attack.refusals | LOST:
            self._outcome.failures.append(f"{attack.name} was answered with {answer}")
        time.sleep(_PAUSE_S)


def _measure(pid: int, outcome: Outcome) -> None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        outcome.failures.append("the first process ended")
        return
    [resident] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    outcome.memory_mb.append(int(resident.split()[1]) // 1024)
    outcome.descriptors.append(descriptors)


def _children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def _listens(pid: int, server: ServerProcess) -> bool:
    """Checks whether the process listens on the REST port, by Linux's /proc."""
    port = f"{int(server.rest.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if row[3] == "0A" and row[1].endswith(f":{port}")}
    try:
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    return any(link.removeprefix("socket:[").rstrip("]") in inodes for link in links)


def main() -> int:
    """Runs the soak and prints the figures; the exit code says whether it passed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--grpc-library", choices=("grpcio", "ngh2"), default="grpcio")
    options = parser.parse_args()
    from benchmarks.serving import jpegs, make_model

    with tempfile.TemporaryDirectory(prefix="skymill-soak-") as folder:
        model = Path(folder) / "model"
        make_model(model)
        outcome = soak(
            model,
            jpegs(16),
            Path(folder),
            seconds=options.seconds,
            processes=options.processes,
            grpc_library=options.grpc_library,
        )
    print(outcome.report())
    faults = outcome.faults()
    for fault in faults[:20]:
        print(f"FAILED: {fault}")
    return int(bool(faults))
