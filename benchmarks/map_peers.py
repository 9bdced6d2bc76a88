"""Other libraries on a scene, each measured separately for `benchmarks.map_beside_peers`.

It imports nothing of Skymill, so that an environment with only the other library can run it:

    PYTHON -I benchmarks/map_peers.py SIDE SCENE TILE_PX STRIDE_PX

- windows: rasterio reads tile by tile, with GDAL's own settings.
- torchgeo: `GridGeoSampler` over a `RasterDataset`, by a `DataLoader` in this process.
- sahi: `slice_image` over the scene, which rasterio reads at once.
- sahi-objects: `get_sliced_prediction` with a detector that answers at once, and its merging.
- terratorch: `tiled_inference` with a model that answers at once, then GeoTIFFs of classes and of
  confidence by rasterio, tiled and deflated, without overviews.
- terratorch-map: the same with the convolutions of the stand-in of `benchmarks.maps` in torch.
- terratorch-model: these convolutions alone on the same number of tiles.

Prints wall-clock and processor seconds, peak megabytes, the number of results, and the version as
JSON; imports do not count.
"""

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_BATCH = 16
#: Widths of the stand-in's layers, from bands to classes.
WIDTHS = (4, 24, 24, 24, 6)
#: Pitch of the grid of objects, not a divisor of a stride, so that tiles cut some of them.
_PITCH_PX, _OBJECT_PX, _MARGIN_PX = 61, 22, 17
#: Least share of an object's area at which a tile sees it.
_LEAST_SHARE = 0.25

Run = Callable[[], int]


def objects_in(row: int, col: int, size_px: int) -> npt.NDArray[np.float64]:
    """Returns the objects that a tile sees, cut at its edges: top, left, bottom, right in it."""
    rows, cols = (_edges(start, size_px) for start in (row, col))
    tops, lefts = (
        np.repeat(np.arange(len(rows)), len(cols)),
        np.tile(np.arange(len(cols)), len(rows)),
    )
    boxes = np.stack([rows[tops, 0], cols[lefts, 0], rows[tops, 1], cols[lefts, 1]], axis=1)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return boxes[area >= _LEAST_SHARE * _OBJECT_PX**2].astype(np.float64)


def _edges(start: int, size_px: int) -> npt.NDArray[np.int64]:
    first = (start - _MARGIN_PX - _OBJECT_PX) // _PITCH_PX
    begins = np.arange(first, (start + size_px) // _PITCH_PX + 1) * _PITCH_PX + _MARGIN_PX - start
    found = np.clip(np.stack([begins, begins + _OBJECT_PX], axis=1), 0, size_px)
    return found[found[:, 1] > found[:, 0]]


def windows(path: str, size_px: int, stride_px: int) -> Run:
    """Reads tiles one by one."""
    import rasterio
    from rasterio.windows import Window

    def run() -> int:
        with rasterio.open(path) as dataset:
            corners = list(
                itertools.product(
                    _starts(dataset.height, size_px, stride_px),
                    _starts(dataset.width, size_px, stride_px),
                )
            )
            for row, col in corners:
                dataset.read(window=Window(col, row, size_px, size_px))
        return len(corners)

    return run


def torchgeo(path: str, size_px: int, stride_px: int) -> Run:
    """Takes tiles from a grid sampler."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    def run() -> int:
        dataset = RasterDataset(paths=[path])
        sampler = GridGeoSampler(dataset, size=size_px, stride=stride_px)
        for _ in DataLoader(dataset, _BATCH, sampler=sampler, collate_fn=stack_samples):
            pass
        return len(sampler)

    return run


def sahi(path: str, size_px: int, stride_px: int) -> Run:
    """Takes slices of a scene that is read at once."""
    from sahi.slicing import slice_image

    def run() -> int:
        found = slice_image(_read(path).transpose(1, 2, 0), **_sliced(size_px, stride_px))
        return sum(len(image) > 0 for image in found.images)

    return run


def sahi_objects(path: str, size_px: int, stride_px: int) -> Run:
    """Detects in slices and merges, with the settings that SAHI begins with."""
    from sahi.models.base import DetectionModel
    from sahi.predict import get_sliced_prediction
    from sahi.prediction import ObjectPrediction

    class Instant(DetectionModel):
        def load_model(self) -> None:
            self.set_model(None)

        def set_model(self, model: Any, **_: Any) -> None:
            self.model = model
            self.category_mapping = {"0": "object"}

        def perform_inference(self, image: npt.NDArray[Any]) -> None:
            self._original_predictions = [image.shape]

        def perform_batch_inference(self, images: list[npt.NDArray[Any]]) -> None:
            self._original_predictions = [image.shape for image in images]

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = None, full_shape_list: Any = None
        ) -> None:
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=[left, top, right, bottom],
                        category_id=0,
                        category_name="object",
                        score=0.9,
                        shift_amount=shift,
                        full_shape=full,
                    )
                    for top, left, bottom, right in objects_in(shift[1], shift[0], size_px).tolist()
                ]
                for shift, full in zip(shift_amount_list, full_shape_list, strict=True)
            ]

    def detect(scene: npt.NDArray[Any]) -> int:
        found = get_sliced_prediction(
            scene,
            Instant(confidence_threshold=0.3, device="cpu"),
            perform_standard_pred=False,
            batch_size=_BATCH,
            verbose=0,
            **_sliced(size_px, stride_px),
        )
        return len(found.object_prediction_list)

    detect(np.zeros((2 * size_px, size_px, WIDTHS[0]), np.uint16))  # imports more at first
    return lambda: detect(_read(path).transpose(1, 2, 0))


def terratorch(path: str, size_px: int, stride_px: int) -> Run:
    """Makes a map with a model that answers at once."""
    import torch

    answer = torch.softmax(torch.linspace(0, 3, size_px * size_px * WIDTHS[-1]), 0)
    answer = answer.reshape(1, WIDTHS[-1], size_px, size_px)
    return _tiled(path, size_px, stride_px, lambda tiles: answer.expand(len(tiles), -1, -1, -1))


def terratorch_map(path: str, size_px: int, stride_px: int) -> Run:
    """Makes a map with the stand-in."""
    return _tiled(path, size_px, stride_px, _stand_in(size_px))


def terratorch_model(path: str, size_px: int, stride_px: int) -> Run:
    """Calls the stand-in for the same number of tiles."""
    import torch

    network = _stand_in(size_px)
    height, width = _read(path).shape[1:]
    count = len(_starts(height, size_px, stride_px)) * len(_starts(width, size_px, stride_px))
    tiles = torch.full((_BATCH, WIDTHS[0], size_px, size_px), 2000.0)

    def run() -> int:
        with torch.no_grad():
            for first in range(0, count, _BATCH):
                network(tiles[: count - first])
        return count

    return run


def _stand_in(size_px: int) -> Callable[[Any], Any]:
    """Returns the convolutions in torch, which has prepared them for a batch."""
    import torch

    random = np.random.default_rng(0)
    kernels = [
        torch.from_numpy(random.normal(0, 0.1, (after, before, 3, 3)).astype(np.float32)).to(
            memory_format=torch.channels_last
        )
        for before, after in itertools.pairwise(WIDTHS)
    ]

    def answer(tiles: Any) -> Any:
        tiles = tiles.contiguous(memory_format=torch.channels_last)  # twice as fast
        found = torch.where(torch.isfinite(tiles), tiles, 0.0) / 3000.0
        for kernel in kernels[:-1]:
            found = torch.relu(torch.nn.functional.conv2d(found, kernel, padding="same"))
        found = torch.nn.functional.conv2d(found, kernels[-1], padding="same")
        return torch.softmax(found, dim=1)

    answer(torch.zeros((_BATCH, WIDTHS[0], size_px, size_px)))
    return answer


def _tiled(path: str, size_px: int, stride_px: int, model: Callable[[Any], Any]) -> Run:
    import torch
    from terratorch.tasks.tiled_inference import tiled_inference

    def run() -> int:
        scene = torch.from_numpy(_read(path).astype(np.float32))[None]
        # A quarter of the overlap does not count on either side, as in Skymill's maps.
        delta = (size_px - stride_px) // 4
        settings = {"crop": size_px, "stride": stride_px, "delta": delta, "batch_size": _BATCH}
        best, classes = tiled_inference(model, scene, **settings)[0].max(dim=0)
        with tempfile.TemporaryDirectory() as folder:
            for name, found in (("classes", classes), ("confidence", best * 250)):
                _write(Path(folder) / f"{name}.tif", found.to(torch.uint8).numpy(), path)
        return classes.numel()

    return run


def _write(path: Path, pixels: npt.NDArray[np.uint8], like: str) -> None:
    import rasterio

    with rasterio.open(like) as dataset:
        profile = {**dataset.profile, "count": 1, "dtype": "uint8", "num_threads": "all_cpus"}
    with rasterio.open(path, "w", **{**profile, "zlevel": 1}) as dataset:
        dataset.write(pixels, 1)


def _read(path: str) -> npt.NDArray[Any]:
    import rasterio

    with rasterio.open(path) as dataset:
        pixels: npt.NDArray[Any] = dataset.read()
    return pixels


def _sliced(size_px: int, stride_px: int) -> dict[str, Any]:
    overlap = 1 - stride_px / size_px
    return {
        "slice_height": size_px,
        "slice_width": size_px,
        "overlap_height_ratio": overlap,
        "overlap_width_ratio": overlap,
    }


def _starts(length: int, size_px: int, stride_px: int) -> list[int]:
    return sorted({*range(0, length - size_px, stride_px), length - size_px})


#: Sides by their names: each does its imports and returns the function that is measured.
SIDES: dict[str, Callable[[str, int, int], Run]] = {
    "windows": windows,
    "torchgeo": torchgeo,
    "sahi": sahi,
    "sahi-objects": sahi_objects,
    "terratorch": terratorch,
    "terratorch-map": terratorch_map,
    "terratorch-model": terratorch_model,
}


def package_of(side: str) -> str:
    """Returns the package that a side measures."""
    return "rasterio" if side == "windows" else side.partition("-")[0]


def main() -> None:
    """Prints the cost of one side."""
    side, path, *numbers = sys.argv[1:]
    run = SIDES[side](path, *map(int, numbers))
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "found": found}
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    package = version(package_of(side))
    print(json.dumps({**cost, "peak_mb": int(peak) / 1024, "version": package}))


if __name__ == "__main__":
    main()
