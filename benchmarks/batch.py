"""Predictions over an archive of small JPEGs against a bare loop, as ratios in one run.

    python -m benchmarks batch [--images 40000] [--rounds 5] [--processes 2] [--batch 32]

- bare loop: reads each file, calls the same model in batches through its first signature, one after
  another, and keeps the arrays: nothing is listed, refused or written.
- skymill batch: a whole run on Beam in this process: listing, checks, Parquet, rejects, summary.
- one core: the same, with all threads of the process on one core. Without that TensorFlow computes
  a batch on all cores, and one process leaves little of them for a second one.
- processes: the same run, shared by several processes, in each of which TensorFlow has one thread.

The sides take turns (`benchmarks.sides`) and each loads the model. With the default number of
images a start is a small part of any side. It is shown separately, as a run on a few images; so is
that of a program's first processes, which also import TensorFlow.
There are no processor seconds for several processes, which are not children of this one.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.ingest import make_images
from benchmarks.serving_model import CLASSES, SIZE_PX, SmallCnn, save_with_signatures
from benchmarks.sides import Rounds, cost_of, machine_load, take_turns

LOOP, BATCH = "bare loop", "skymill batch"
ONE_CORE, MANY = "skymill batch, one core", "skymill batch, processes"
_FEW = 64
_RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def save_model(folder: Path) -> None:
    """Writes the network of the serving benchmark with the served signatures and contract."""
    from components.raster.image import ImageSpec
    from serving.contract.contract import Contract

    contract = Contract(image=ImageSpec(height_px=SIZE_PX, width_px=SIZE_PX), classes=CLASSES)
    network = SmallCnn()
    save_with_signatures(network, network.logits, contract, folder)


def bare_loop(images: Path, model_base: Path, batch: int) -> int:
    """Calls the model for every image; returns their number."""
    from serving.contract.names import BYTES_INPUT, BYTES_SIGNATURE
    from serving.server.pushed import load_pushed

    model = load_pushed(model_base).model
    paths = sorted(images.rglob("*.jpg"))
    answers = []
    for first in range(0, len(paths), batch):
        data = [path.read_bytes() for path in paths[first : first + batch]]
        outputs = model.run(BYTES_SIGNATURE, {BYTES_INPUT: np.array(data, dtype=object)})
        answers.append(outputs["probabilities"])
    model.close()
    return sum(map(len, answers))


def archive(images: Path, model_base: Path, batch: int, processes: int, output: Path) -> int:
    """Predicts the archive as `skymill batch` does; returns the number of predictions."""
    from components.node.beam import make_pipeline
    from pipelines.prediction.config import PredictionConfig
    from pipelines.prediction.run import plan_run, predict_archive

    tree = {"source": {"kind": "images", "uri": str(images)}, "batch": batch, "shards": 8}
    plan = plan_run(PredictionConfig.model_validate(tree), str(model_base))
    options = [_RUNNER, f"--ingest_processes={processes}"]
    shutil.rmtree(output, ignore_errors=True)
    return predict_archive(plan, str(output), partial(make_pipeline, options)).predictions


def on_one_core(images: Path, model_base: Path, batch: int, output: Path) -> None:
    """Predicts the archive in this process, confined to one core."""
    with _confined():
        archive(images, model_base, batch, 1, output)


@contextmanager
def _confined() -> Iterator[None]:
    """Keeps all threads of this process, TensorFlow's among them, on one core (on Linux)."""
    cores = os.sched_getaffinity(0)
    _keep_on({min(cores)})
    try:
        yield
    finally:
        _keep_on(cores)


def _keep_on(cores: Collection[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), cores)


def main() -> None:
    """Prints seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_images(root / "images", args.images)
        make_images(root / "few", _FEW)
        save_model(root / "model" / "1")
        _compare(root, args)


def _compare(root: Path, args: argparse.Namespace) -> None:
    given = (root / "model", args.batch)
    sides: dict[str, Callable[[], object]] = {
        LOOP: lambda: bare_loop(root / "images", *given),
        BATCH: lambda: archive(root / "images", *given, 1, root / "out"),
        ONE_CORE: lambda: on_one_core(root / "images", *given, root / "out"),
        MANY: lambda: archive(root / "images", *given, args.processes, root / "out"),
    }
    with machine_load():
        few = take_turns(_of_few(root, given, args.processes), args.rounds)
        found = take_turns(sides, args.rounds)
    print(f"{args.images} images of 64 px, batches of {args.batch}, {args.rounds} rounds")
    for name in found.sides:
        cost, start = found.typical(name), few.typical(name)
        beyond = _rate(args.images, start.wall, cost.wall, "images/s")
        cpu = ""
        if name != MANY:
            cpu = f", {cost.cpu:.2f} s cpu"
            beyond += ", " + _rate(args.images, start.cpu, cost.cpu, "a CPU second")
        print(f"{name}: {cost.wall:.2f} s wall{cpu}; {args.images / cost.wall:,.0f} images/s")
        print(f"  start {start.wall:.2f} s; beyond it: {beyond}")
    print(f"of the bare loop, by CPU:   {found.ratio(LOOP, BATCH, 'cpu')}")
    print(f"of the bare loop, by clock: {found.ratio(LOOP, BATCH)}")
    for one in (BATCH, ONE_CORE):
        beyond = _beyond(few, found, one)
        print(f"{args.processes} processes against {one}: {found.ratio(one, MANY)}{beyond}")


def _beyond(few: Rounds, found: Rounds, one: str) -> str:
    """Returns the speed-up of several processes over one, without their starts."""
    starts, all_s = ([it.typical(side).wall for side in (one, MANY)] for it in (few, found))
    if any(whole < 2 * start for start, whole in zip(starts, all_s, strict=True)):
        return ", beyond their starts ? (too few --images)"
    alone, shared = (whole - start for start, whole in zip(starts, all_s, strict=True))
    return f", beyond their starts {alone / shared:.2f}"


def _rate(images: int, start_s: float, all_s: float, unit: str) -> str:
    """Returns the rate without the start, unless that takes most of the time."""
    if all_s < 2 * start_s:
        return f"? {unit} (too few --images)"
    return f"{(images - _FEW) / (all_s - start_s):,.0f} {unit}"


def _of_few(root: Path, given: tuple[Path, int], processes: int) -> dict[str, Callable[[], object]]:
    """Returns the sides on a few images, after each has run once and done its imports."""
    bare_loop(root / "few", *given)
    first = cost_of(lambda: archive(root / "few", *given, processes, root / "few-out"))
    print(f"first start of {processes} processes, which import TensorFlow: {first.wall:.2f} s")
    return {
        LOOP: lambda: bare_loop(root / "few", *given),
        BATCH: lambda: archive(root / "few", *given, 1, root / "few-out"),
        ONE_CORE: lambda: on_one_core(root / "few", *given, root / "few-out"),
        MANY: lambda: archive(root / "few", *given, processes, root / "few-out"),
    }
