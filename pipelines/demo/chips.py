"""Synthetic chips in the manner of Sentinel-2: four bands of 10 m in class folders.

Chips come in clusters, one cluster for each place. The chips of a place touch each other and
share its haze and its soil, so a random split tests a model beside the ground that it was trained
on.
The seed determines everything; nothing is taken from real imagery.

    python -m pipelines.demo.chips FOLDER [--places 40]
    python -m pipelines.demo.chips scene.tif --scene
"""

import argparse
import os

import numpy as np
import rasterio
from rasterio.transform import from_origin

BANDS = ("B02", "B03", "B04", "B08")
#: Mean reflectance of a class in each band, and the deviation of its texture.
CLASSES = {
    "cropland": ((0.06, 0.09, 0.08, 0.30), 0.10),
    "forest": ((0.02, 0.04, 0.03, 0.25), 0.25),
    "settlement": ((0.11, 0.12, 0.14, 0.20), 0.35),
    "water": ((0.05, 0.04, 0.03, 0.02), 0.05),
}
_SIDE_PX, _GSD_M, _APART_M, _CRS = 32, 10, 4000, "EPSG:32632"
_QUANTIFICATION = 10_000  # stored numbers are reflectance times this, as in Sentinel-2


def make_chips(folder: str, places: int = 40, seed: int = 20260101) -> int:
    """Writes a chip of every class at each place as GeoTIFF; returns how many there are."""
    rng = np.random.default_rng(seed)
    across = int(np.ceil(np.sqrt(places)))
    for name in CLASSES:
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for place in range(places):
        row, col = divmod(place, across)
        haze, soil = rng.uniform(0, 0.05), rng.normal(1, 0.12, len(BANDS))
        for i, name in enumerate(CLASSES):
            east = 500_000 + col * _APART_M + i % 2 * _SIDE_PX * _GSD_M
            north = 5_300_000 - row * _APART_M - i // 2 * _SIDE_PX * _GSD_M
            path = os.path.join(folder, name, f"place_{place:03d}.tif")
            _write(path, _paint(name, rng) * soil + haze, east, north)
    return places * len(CLASSES)


def make_scene(path: str, blocks: int = 12, seed: int = 20260102) -> int:
    """Writes a scene of blocks of one class, each as large as a chip; returns its side."""
    rng = np.random.default_rng(seed)
    height = rng.normal(size=(len(CLASSES), blocks, blocks))
    for axis in (1, 2):  # neighbours are alike
        height += np.roll(height, 1, axis) + np.roll(height, -1, axis)
    names = list(CLASSES)
    rows = [[_paint(names[i], rng) for i in row] for row in height.argmax(axis=0)]
    _write(
        path,
        np.concatenate([np.concatenate(row, axis=1) for row in rows]) + 0.02,
        600_000,
        5_300_000,
    )
    return blocks * _SIDE_PX


def _paint(name: str, rng: np.random.Generator) -> np.ndarray:
    """Paints a chip of a class as reflectance: float (H, W, bands)."""
    mean, deviation = CLASSES[name]
    texture = 1 + deviation * rng.normal(size=(_SIDE_PX, _SIDE_PX, 1))
    return np.asarray(mean) * texture + rng.normal(0, 0.004, (_SIDE_PX, _SIDE_PX, len(BANDS)))


def _write(path: str, reflectance: np.ndarray, east: float, north: float) -> None:
    numbers = np.clip(np.rint(reflectance * _QUANTIFICATION), 1, 65535).astype(np.uint16)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=numbers.shape[1],
        height=numbers.shape[0],
        count=len(BANDS),
        dtype="uint16",
        crs=_CRS,
        transform=from_origin(east, north, _GSD_M, _GSD_M),
        nodata=0,
    ) as file:
        file.write(np.moveaxis(numbers, -1, 0))
        file.descriptions = BANDS


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Generates chips with four bands in class folders."
    )
    parser.add_argument("path", help="folder for the chips, or file for the scene")
    parser.add_argument("--places", type=int, default=40)
    parser.add_argument("--scene", action="store_true", help="generate one scene instead")
    options = parser.parse_args()
    if options.scene:
        print(f"{make_scene(options.path)} pixels wide and high")
    else:
        print(make_chips(options.path, options.places), "chips")
