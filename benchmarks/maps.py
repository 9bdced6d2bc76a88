"""Maps of whole scenes beside reading alone, and beside the model alone over the same tiles.

All parts work on the same made scene in the same run, in turns; each ratio is the median over the
turns. The model is a stand-in of known cost: a few convolutions in a SavedModel. For what is not
the model, one that answers at once takes its place. Peak memory is that of a process that maps a
scene with it. Objects are boxes that tiles of a made scene see, cut at their edges and a little
off; the true ones are known.

    python -m benchmarks.maps [--size 4096] [--sizes 4096 8192] [--boxes 100000] [--turns 3]
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import shapely

from benchmarks.made_scene import make_scene
from benchmarks.raster_memory import own_peak_mb
from components.mapping.config import MapConfig
from components.mapping.layout import lay_out
from components.mapping.maps import map_scene
from components.mapping.merging import Found, merge
from components.mapping.models import Answer, TileModel, batched
from components.mapping.opening import view_for
from components.mapping.weights import tile_starts
from components.raster.image import ImageSpec
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.parts import whole
from components.raster.tiles.reading import read_tiles
from components.raster.tiles.tile import Tile
from components.raster.tiles.view import View
from serving.contract.contract import Contract
from serving.contract.needs import TrainedTiles
from serving.tasks.segmentation.planes import CLASS_PROBABILITIES_OUTPUT

BANDS = ("#1", "#2", "#3", "#4")
CLASSES = ("water", "forest", "crop", "grass", "bare", "built")
TILE_PX = 256
#: Polygons cost what the ground is like, and made noise has one for every pixel.
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

    def answer(self, tiles: Sequence[Tile], view: View) -> Answer:
        """Returns the same for each tile."""
        shape = (len(tiles), *self._answer.shape)
        return {CLASS_PROBABILITIES_OUTPUT: np.broadcast_to(self._answer, shape)}


def save_model(folder: Path) -> None:
    """Writes the stand-in: three convolutions of 24 filters and one to the classes."""
    import tensorflow as tf

    from serving.contract.contract import CONTRACT_PATH
    from serving.graph.signatures import signatures

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

    network, spec = Network(), contract()
    found = signatures(network, spec)
    network.calls = [tf.function(it.function, it.inputs, autograph=False) for it in found]
    named = {it.name: call for it, call in zip(found, network.calls, strict=True)}
    tf.saved_model.save(network, str(folder), signatures=named)
    path = folder / CONTRACT_PATH
    path.parent.mkdir(exist_ok=True)
    path.write_text(spec.to_json())


def source_of(path: Path) -> SceneSource:
    """Returns a made scene."""
    return SceneSource(path.stem, (BandFile(str(path)),))


def tiles_of(path: Path) -> Iterator[Tile]:
    """Yields the tiles of the map of a scene."""
    view = view_for(source_of(path), contract(), CONFIG.reading)
    stride = CONFIG.stride_px(TILE_PX, "segmentation")
    layout = lay_out(view, TILE_PX, stride, pixel_bytes=0, memory_bytes=2**62)
    for tile in read_tiles(view, whole(layout.plan), memory_bytes=2**62):
        assert isinstance(tile, Tile)
        yield tile


def read_alone(path: Path) -> None:
    """Reads the tiles of the map and drops them."""
    for _ in tiles_of(path):
        pass


def model_alone(path: Path, model: TileModel) -> float:
    """Returns the seconds that the model takes for the tiles of the map, without reading."""
    view = view_for(source_of(path), model.contract, CONFIG.reading)
    spent = 0.0
    for batch in batched(tiles_of(path), CONFIG.batch):
        begun = time.perf_counter()
        model.answer(batch, view)
        spent += time.perf_counter() - begun
    return spent


def mapped(path: Path, model: TileModel) -> None:
    """Makes the whole map in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        map_scene(source_of(path), model, CONFIG, Path(folder))


def seconds(work: Callable[[], object]) -> float:
    """Returns the wall time of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def peak_mb(path: Path) -> float:
    """Returns the peak memory (MB) of a process that maps a scene with the instant model."""
    command = [sys.executable, "-m", __spec__.name, "--map", str(path)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    return float(done.stdout)


def made_boxes(count: int, seed: int = 0) -> tuple[Found, np.ndarray, int]:
    """Returns boxes of overlapping tiles, about so many, the true objects, and the scene's side."""
    random = np.random.default_rng(seed)
    per_side = round((count / 1.78) ** 0.5)
    side = per_side * 32
    rows, cols = (it.ravel() for it in np.mgrid[:per_side, :per_side] * 32)
    sizes = random.integers(8, 29, (2, len(rows)))
    tops = rows + random.integers(0, 31 - sizes[0])
    lefts = cols + random.integers(0, 31 - sizes[1])
    true = np.stack([tops, lefts, tops + sizes[0], lefts + sizes[1]], axis=1).astype(float)
    tree = shapely.STRtree(shapely.box(true[:, 1], true[:, 0], true[:, 3], true[:, 2]))
    starts = tile_starts(side, TILE_PX, TILE_PX * 3 // 4)
    boxes, tiles = [], []
    for top in starts:
        for left in starts:
            window = np.array([top, left, top + TILE_PX, left + TILE_PX], float)
            near = np.sort(tree.query(shapely.box(left, top, left + TILE_PX, top + TILE_PX)))
            cut = np.concatenate(
                [np.maximum(true[near, :2], window[:2]), np.minimum(true[near, 2:], window[2:])],
                axis=1,
            )
            share = np.prod(np.maximum(cut[:, 2:] - cut[:, :2], 0), axis=1) / np.prod(
                true[near, 2:] - true[near, :2], axis=1
            )
            seen = cut[share >= 0.25]
            off = seen + random.normal(0, 0.5, seen.shape)
            boxes.append(np.clip(off, np.tile(window[:2], 2), np.tile(window[2:], 2)))
            tiles.append(np.tile(window, (len(seen), 1)))
    together = np.concatenate(boxes)
    scores = random.uniform(0.3, 1, len(together))
    classes = np.zeros(len(together), np.int64)
    return Found(together, classes, scores, np.concatenate(tiles)), true, side


def faults(merged: np.ndarray, true: np.ndarray) -> tuple[int, int]:
    """Returns (duplicates, losses): boxes beyond one for an object, and objects without a box."""
    tree = shapely.STRtree(shapely.box(true[:, 1], true[:, 0], true[:, 3], true[:, 2]))
    rows, cols = (merged[:, 0] + merged[:, 2]) / 2, (merged[:, 1] + merged[:, 3]) / 2
    at, found = tree.query(shapely.points(cols, rows), predicate="intersects")
    hits = np.bincount(found, minlength=len(true))
    stray = len(merged) - len(np.unique(at))
    return int(np.maximum(hits - 1, 0).sum()) + stray, int((hits == 0).sum())


def main() -> None:
    """Prints the figures as lines, and all of them as JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--sizes", type=int, nargs="*", default=[4096, 8192])
    parser.add_argument("--boxes", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--map", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.map:
        mapped(arguments.map, InstantModel())
        print(own_peak_mb())
        return
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures |= speed(folder, arguments.size, arguments.turns)
        figures |= memory(folder, arguments.sizes)
    figures |= merging(arguments.boxes)
    print(json.dumps(figures))


def speed(folder: Path, size_px: int, turns: int) -> dict[str, object]:
    """Measures the map of a scene against reading and against the model."""
    from components.mapping.in_process import InProcessModel

    path = folder / "scene.tif"
    make_scene(path, size_px)
    save_model(folder / "model")
    instant, real = InstantModel(), InProcessModel(folder / "model")
    overheads, shares = [], []
    read_alone(path)  # warms the page cache
    for _ in range(turns):
        reading = seconds(lambda: read_alone(path))
        rest = seconds(lambda: mapped(path, instant))
        alone, both = model_alone(path, real), seconds(lambda: mapped(path, real))
        overheads.append(rest / reading)
        shares.append(alone / both)
        million = size_px**2 / 1e6
        print(
            f"{size_px} px: reading {million / reading:.1f}, all but the model "
            f"{million / rest:.1f}, model {million / alone:.1f}, map {million / both:.1f} Mpixel/s",
            flush=True,
        )
    path.unlink()
    overhead, share = statistics.median(overheads), statistics.median(shares)
    print(f"all but the model takes {overhead:.2f} times reading; the map has {share:.2f} of it")
    return {"size_px": size_px, "all_but_model_to_reading": overhead, "map_to_model": share}


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


def merging(count: int) -> dict[str, object]:
    """Measures merging: speed, duplicates and losses."""
    found, true, side = made_boxes(count)
    begun = time.perf_counter()
    merged = merge(found, side, side)
    rate = len(found) / (time.perf_counter() - begun)
    duplicates, losses = faults(merged.boxes, true)
    print(
        f"{len(found):,} boxes of {len(true):,} objects: {rate:,.0f} boxes/s, "
        f"{duplicates} duplicates, {losses} losses"
    )
    return {
        "boxes": len(found),
        "objects": len(true),
        "boxes_per_s": rate,
        "duplicates": duplicates,
        "losses": losses,
    }


if __name__ == "__main__":
    main()
