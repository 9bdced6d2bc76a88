"""Maps of whole scenes against reading alone, and against the model alone over the same tiles.

All sides work on the same synthetic scene in the same run, in turns. The model is a stand-in of
known cost: a few convolutions in a SavedModel. A model that answers at once replaces it to measure
everything else. Reading is measured with the reader of maps, which decodes each block once, on all
cores, and cuts tiles out of it, mostly without copying. Peak memory is that of a process that maps
a scene with the model that answers at once. `benchmarks.map_beside_peers` measures other libraries,
`benchmarks.map_objects` the merging of objects.

    python -m benchmarks maps [--size 10000] [--sizes 10000 20000] [--turns 3]
        [--server | --only-rest] [--compression zstd]
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.made_scene import make_scene
from benchmarks.sides import Cost, Rounds, cost_of, machine_load, peak_memory_mb
from components.mapping.config import MapConfig
from components.mapping.layout import lay_out
from components.mapping.maps import map_scene
from components.mapping.models import TileAnswers, TileModel
from components.mapping.opening import view_for
from components.mapping.served import ServedModel
from components.raster.batched import batched
from components.raster.image import ImageSpec
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.parts import whole
from components.raster.tiles.reading import read_tiles
from components.raster.tiles.tile import Tile
from components.raster.tiles.view import View
from serving.contract.contract import Contract
from serving.contract.needs import TrainedTiles
from serving.server.process import serve_in_subprocess
from serving.tasks.segmentation.planes import CLASS_PROBABILITIES_OUTPUT

BANDS = ("#1", "#2", "#3", "#4")
CLASSES = ("water", "forest", "crop", "grass", "bare", "built")
TILE_PX = 256
READING, MODEL = "reading", "model"
REST, WHOLE, SERVED = "all but the model", "map", "map by a server"
#: The cost of polygons depends on the ground, and synthetic noise has one for every pixel.
CONFIG = MapConfig(vectors=(), checkpoint_s=10)


def contract() -> Contract:
    """Returns the contract of a model of four bands and six classes."""
    side = (TILE_PX, TILE_PX)
    image = ImageSpec(height_px=TILE_PX, width_px=TILE_PX, bands=BANDS)
    tiles = TrainedTiles(side, side, (10, 10))
    return Contract(task="segmentation", image=image, classes=CLASSES, tiles=tiles)


class InstantModel:
    """Answers at once: the same smooth probabilities for every tile."""

    name, identity, requests = "instant", "instant", 1
    version: int | None = 1
    item: str | None = None

    def __init__(self) -> None:
        self.contract = contract()
        ramp = np.linspace(0, 3, TILE_PX, dtype=np.float32)
        logits = np.stack([np.sin(ramp[:, None] * k + ramp) for k in range(len(CLASSES))])
        weights = np.exp(logits)
        self._answer = (weights / weights.sum(axis=0)).astype(np.float32)

    def answer(self, tiles: Sequence[Tile], view: View) -> TileAnswers:
        """Returns the same answer for each tile."""
        shape = (len(tiles), *self._answer.shape)
        return {CLASS_PROBABILITIES_OUTPUT: np.broadcast_to(self._answer, shape)}


def save_model(folder: Path) -> None:
    """Writes the stand-in: three convolutions of 24 filters and one to the classes."""
    import tensorflow as tf

    from benchmarks.serving_model import save_with_signatures

    class Network(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            random = np.random.default_rng(0)
            widths = (len(BANDS), 24, 24, 24, len(CLASSES))
            self.kernels = [
                tf.Variable(random.normal(0, 0.1, (3, 3, *pair)).astype(np.float32))
                for pair in itertools.pairwise(widths)
            ]

        def __call__(self, pixels: tf.Tensor) -> tf.Tensor:
            found = tf.where(tf.math.is_finite(pixels), pixels, 0.0) / 3000.0
            for kernel in self.kernels[:-1]:
                found = tf.nn.relu(tf.nn.conv2d(found, kernel, 1, "SAME"))
            return tf.nn.conv2d(found, self.kernels[-1], 1, "SAME")

    network = Network()
    save_with_signatures(network, network, contract(), folder)


def source_of(path: Path) -> SceneSource:
    """Returns the source of a synthetic scene."""
    return SceneSource(path.stem, (BandFile(str(path)),))


def tiles_of(path: Path) -> Iterator[Tile]:
    """Yields the tiles of the map of a scene."""
    view = view_for(source_of(path), contract(), CONFIG.reading)
    stride = CONFIG.stride_px(TILE_PX, "pixels")
    layout = lay_out(view, TILE_PX, stride, pixel_bytes=0, memory_bytes=2**62)
    for tile in read_tiles(view, whole(layout.plan), memory_bytes=2**62):
        assert isinstance(tile, Tile)
        yield tile


def read_alone(path: Path) -> None:
    """Reads the tiles of the map and drops them."""
    for _ in tiles_of(path):
        pass


def model_alone(path: Path, model: TileModel) -> Cost:
    """Returns the cost of the model for the tiles of the map, without reading."""
    view = view_for(source_of(path), model.contract, CONFIG.reading)
    wall = cpu = 0.0
    for batch in batched(list(tiles_of(path)), CONFIG.batch):
        cost = cost_of(partial(model.answer, batch, view), collect=False)
        wall, cpu = wall + cost.wall, cpu + cost.cpu
    return Cost(wall, cpu)


def mapped(path: Path, model: TileModel, config: MapConfig = CONFIG) -> None:
    """Makes the whole map in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        map_scene(source_of(path), model, config, Path(folder))


def peak_mb(path: Path) -> float:
    """Returns the peak memory (MB) of a process that maps a scene with the instant model."""
    command = [sys.executable, "-m", "benchmarks", "maps", "--map", str(path)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    return float(done.stdout)


def main() -> None:
    """Prints the figures as lines, and all of them as JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="of the scene, for speed")
    parser.add_argument("--sizes", type=int, nargs="*", default=[4096, 8192], help="for memory")
    parser.add_argument("--turns", type=int, default=3)
    models = parser.add_mutually_exclusive_group()
    models.add_argument("--server", action="store_true", help="measure maps by a server, too")
    models.add_argument("--only-rest", action="store_true", help="no model that computes")
    parser.add_argument("--compression", choices=["deflate", "zstd"], default="deflate")
    parser.add_argument("--map", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.map:
        mapped(arguments.map, InstantModel())
        print(peak_memory_mb())
        return
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name, machine_load():
        folder = Path(name)
        figures |= speed(folder, arguments)
        figures |= memory(folder, arguments.sizes)
    print(json.dumps(figures))


def speed(folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Measures the map of a scene against reading and against the model."""
    from components.mapping.in_process import InProcessModel

    path, size_px = folder / "scene.tif", arguments.size
    config = CONFIG.model_copy(update={"compression": arguments.compression})
    make_scene(path, size_px)
    instant = InstantModel()
    read_alone(path)  # warms the page cache
    sides: dict[str, Callable[[], object]] = {
        READING: lambda: read_alone(path),
        REST: lambda: mapped(path, instant, config),
    }
    with ExitStack() as stack:
        if not arguments.only_rest:
            save_model(folder / "model" / "1")
            real = InProcessModel(folder / "model")
            sides[WHOLE] = lambda: mapped(path, real, config)
        if arguments.server:
            server = stack.enter_context(serve_in_subprocess(folder / "model"))
            served = stack.enter_context(ServedModel.at(server.grpc, server.model_name))
            sides[SERVED] = lambda: mapped(path, served, config)
        rounds = Rounds((*sides, *([] if arguments.only_rest else [MODEL])))
        for number in range(arguments.turns):
            order = list(sides.items())
            costs = {name: cost_of(run) for name, run in order[:: 1 if number % 2 == 0 else -1]}
            if not arguments.only_rest:
                costs[MODEL] = model_alone(path, real)
            rounds.add(costs)
    path.unlink()
    million = size_px**2 / 1e6
    for name in rounds.sides:
        cost = rounds.typical(name)
        print(
            f"{size_px} px, {name}: {million / cost.wall:.1f} Mpixel/s, "
            f"{million / cost.cpu:.1f} a CPU second",
            flush=True,
        )
    ratios = {
        "all_but_model_to_reading_cpu": rounds.ratio(REST, READING, "cpu"),
        "all_but_model_to_reading": rounds.ratio(REST, READING),
    }
    if WHOLE in sides:
        ratios["map_to_model_cpu"] = rounds.ratio(MODEL, WHOLE, "cpu")
        ratios["map_to_model"] = rounds.ratio(MODEL, WHOLE)
    if SERVED in sides:
        ratios["served_to_in_process"] = rounds.ratio(WHOLE, SERVED)
    for name, ratio in ratios.items():
        print(f"{name}: {ratio}", flush=True)
    return {"size_px": size_px, **{name: ratio.value for name, ratio in ratios.items()}}


def memory(folder: Path, sizes: Sequence[int]) -> dict[str, object]:
    """Measures the peak memory of maps of growing size."""
    peaks = {}
    for size_px in sizes:
        path = folder / f"{size_px}.tif"
        make_scene(path, size_px)
        peaks[str(size_px)] = peak_mb(path)
        print(f"{size_px} px: peak {peaks[str(size_px)]:.0f} MB", flush=True)
        path.unlink()
    return {"peak_mb": peaks}
