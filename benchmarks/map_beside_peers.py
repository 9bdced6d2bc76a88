"""Maps compared with other libraries on the same scene: SAHI, TorchGeo, TerraTorch, rasterio.

Each of these runs in a process of its own (`benchmarks.map_peers` describes them), with the Python
that `--peers` names. A library that this Python does not have is left out.

    python -m venv PEERS
    PEERS/bin/pip install sahi torch torchgeo terratorch
    python -m benchmarks map_beside_peers --peers PEERS/bin/python [--size 4096] [--turns 3]

- tiles: tiles of a grid with an overlap of a quarter, read and dropped. SAHI cuts a scene that
  rasterio read at once.
- objects: from the scene to merged boxes, with a detector that answers at once. Skymill also writes
  the whole map.
- map: from the scene to rasters of classes and confidence, with a model that answers at once, and
  with the same convolutions in each framework. The share of the model alone compares the two
  libraries without comparing their frameworks.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.made_scene import make_scene
from benchmarks.map_peers import SIDES, objects_in, package_of
from benchmarks.maps import (
    BANDS,
    CONFIG,
    TILE_PX,
    InstantModel,
    contract,
    mapped,
    model_alone,
    read_alone,
    save_model,
)
from benchmarks.sides import Cost, Rounds, cost_of, machine_load
from components.mapping.config import MapConfig
from components.mapping.models import TileAnswers
from components.raster.image import ImageSpec
from components.raster.tiles.tile import Tile
from components.raster.tiles.view import View
from serving.contract.contract import Contract
from serving.tasks.detection.answer import BOX_LABELS_OUTPUT, BOX_SCORES_OUTPUT, BOXES_OUTPUT

TILES, OBJECTS, REST, WHOLE, MODEL = (
    f"skymill, {it}" for it in ("tiles", "objects", "all but the model", "map", "model")
)
#: Our side that does the same as each side of another library.
_OURS = {
    "windows": TILES,
    "torchgeo": TILES,
    "sahi": TILES,
    "sahi-objects": OBJECTS,
    "terratorch": REST,
    "terratorch-map": WHOLE,
    "terratorch-model": MODEL,
}
#: Settings of detection: the overlap of the peers' tiles, and one format of objects.
_OBJECTS_CONFIG = MapConfig(vectors=("parquet",), overlap=0.25)


class InstantDetector(InstantModel):
    """Finds the objects of `benchmarks.map_peers` at once."""

    identity = "instant detector"

    def __init__(self) -> None:
        image = ImageSpec(height_px=TILE_PX, width_px=TILE_PX, bands=BANDS)
        self.contract = Contract(
            task="detection", image=image, classes=("object",), tiles=contract().tiles
        )

    def answer(self, tiles: Sequence[Tile], view: View) -> TileAnswers:
        """Returns the boxes that each tile sees."""
        found = [objects_in(it.key.window.row, it.key.window.col, TILE_PX) for it in tiles]
        most = max(1, *map(len, found))
        boxes = np.zeros((len(tiles), most, 4), np.float32)
        labels = np.full((len(tiles), most), -1)
        for number, own in enumerate(found):
            boxes[number, : len(own)], labels[number, : len(own)] = own, 0
        scores = np.where(labels < 0, 0, 0.9)
        return {BOXES_OUTPUT: boxes, BOX_LABELS_OUTPUT: labels, BOX_SCORES_OUTPUT: scores}


def installed(python: str) -> tuple[str, ...]:
    """Returns the sides whose library a Python has, and prints which are left out."""
    packages = sorted({package_of(side) for side in SIDES} - {"rasterio"})
    look = f"import importlib.util as it; print(*[n for n in {packages} if it.find_spec(n)])"
    done = subprocess.run([python, "-I", "-c", look], check=True, stdout=subprocess.PIPE, text=True)
    have = {"rasterio", *done.stdout.split()}
    for package in sorted({*packages} - have):
        print(f"{package} is left out: {python} does not have it (--peers names another Python)")
    return tuple(side for side in SIDES if package_of(side) in have)


def peer(side: str, python: str, path: Path) -> Cost:
    """Returns the cost of one side of `benchmarks.map_peers`."""
    script = Path(__file__).with_name("map_peers.py")
    stride = CONFIG.stride_px(TILE_PX, "pixels")
    python = sys.executable if package_of(side) == "rasterio" else python
    command = [python, "-I", str(script), side, str(path), str(TILE_PX), str(stride)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{side} {found['version']}: {found['found']:,} found, peak {found['peak_mb']:.0f} MB",
        flush=True,
    )
    return Cost(found["wall"], found["cpu"])


def measured(folder: Path, size_px: int, turns: int, python: str) -> Rounds:
    """Measures all sides over one synthetic scene, in turns."""
    from components.mapping.in_process import InProcessModel

    path, others = folder / "scene.tif", installed(python)
    make_scene(path, size_px)
    save_model(folder / "model" / "1")
    real = InProcessModel(folder / "model")
    read_alone(path)  # warms the page cache
    sides: Mapping[str, Callable[[], Cost]] = {
        TILES: lambda: cost_of(partial(read_alone, path)),
        OBJECTS: lambda: cost_of(partial(mapped, path, InstantDetector(), _OBJECTS_CONFIG)),
        REST: lambda: cost_of(partial(mapped, path, InstantModel())),
        WHOLE: lambda: cost_of(partial(mapped, path, real)),
        MODEL: lambda: model_alone(path, real),
        **{side: partial(peer, side, python, path) for side in others},
    }
    rounds = Rounds(tuple(sides))
    for number in range(turns):
        order = list(sides.items())[:: 1 if number % 2 == 0 else -1]
        rounds.add({name: run() for name, run in order})
    return rounds


def main() -> None:
    """Prints the figures as lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="of the scene")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--peers", default=sys.executable, help="a python that has the libraries")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, machine_load():
        rounds = measured(Path(name), arguments.size, arguments.turns, arguments.peers)
    million = arguments.size**2 / 1e6
    for name in rounds.sides:
        cost = rounds.typical(name)
        rates = f"{million / cost.wall:.1f} Mpixel/s, {million / cost.cpu:.1f} a CPU second"
        print(f"{arguments.size} px, {name}: {rates}")
    for side, ours in _OURS.items():
        if side in rounds.sides:
            cpu, clock = (rounds.ratio(side, ours, measure) for measure in ("cpu", "wall"))
            print(f"{side} takes, of {ours}: {cpu} by CPU, {clock} by clock")
    shares = [(MODEL, WHOLE), ("terratorch-model", "terratorch-map")]
    for model, whole in shares:
        if whole in rounds.sides:
            cpu, clock = (rounds.ratio(model, whole, measure) for measure in ("cpu", "wall"))
            print(f"{model} alone, of the whole map: {cpu} by CPU, {clock} by clock")


if __name__ == "__main__":
    main()
