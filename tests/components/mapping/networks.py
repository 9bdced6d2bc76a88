"""Networks with known weights, in numpy, as models of tiles; and scenes for them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from components.raster.image import ImageSpec
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.tile import Tile
from serving.contract.contract import Contract
from serving.contract.needs import TrainedTiles

UTM = "EPSG:32632"
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_300_000)


def box_mean(plane, radius):
    """The mean over a square around each pixel; zeros beyond the edges, as convolutions pad."""
    side = 2 * radius + 1
    padded = np.pad(plane, radius)
    sums = np.cumsum(np.cumsum(np.pad(padded, ((1, 0), (1, 0))), axis=0), axis=1)
    whole = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return whole / side**2


class Network:
    """Class k is probable where the mean around a pixel is near the k-th of K levels.

    Two layers of means, each followed by a bend, see `2 * radius` pixels around. With the radius 0
    it decides by the pixel alone.
    """

    name, version, identity, item, requests = "made", 7, "made-7", None, 1

    def __init__(self, contract, radius=0, sharpness=30.0):
        self.contract, self.radius, self.sharpness = contract, radius, sharpness
        self.asked = []

    def answer(self, tiles: Sequence[Tile], view):
        self.asked += [tile.key for tile in tiles]
        return {
            "class_probabilities": np.stack(
                [self.probabilities(tile.pixels[..., 0], tile.valid) for tile in tiles]
            )
        }

    def probabilities(self, pixels, valid):
        """(K, H, W) of one band (H, W) of numbers from 0 to 1000."""
        plane = np.where(valid, pixels, 0) / 1000
        if self.radius:
            plane = np.abs(box_mean(plane, self.radius) - 0.3)
            plane = np.abs(box_mean(plane, self.radius) - 0.1) * 3
        levels = (np.arange(len(self.contract.classes)) + 0.5) / len(self.contract.classes)
        logits = -self.sharpness * np.abs(plane - levels[:, None, None])
        weights = np.exp(logits - logits.max(axis=0))
        return (weights / weights.sum(axis=0)).astype(np.float32)


def contract_of(classes=("low", "middle", "high"), size_px=32, gsd_m=10.0, **more):
    """The contract of a segmentation model of one band."""
    side = (size_px, size_px)
    return Contract(
        task=more.pop("task", "segmentation"),
        image=ImageSpec(height_px=size_px, width_px=size_px, bands=("gray",)),
        classes=classes,
        tiles=TrainedTiles(side, side, (gsd_m, gsd_m)),
        **more,
    )


def smooth_ground(height, width, seed=0, patch=8):
    """Returns numbers from 0 to 1000 that vary from patch to patch."""
    random = np.random.default_rng(seed)
    coarse = random.integers(1, 1000, (-(-height // patch), -(-width // patch)))
    return np.kron(coarse, np.ones((patch, patch), int))[:height, :width].astype(np.uint16)


def write_scene(path: Path, pixels, *, transform=NORTH_UP, crs=UTM, block=64, **profile):
    """Writes one band `gray`, 0 is nodata; returns the scene's source."""
    defaults = {"nodata": 0, "tiled": True, "blockxsize": block, "blockysize": block}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=pixels.shape[0],
        width=pixels.shape[1],
        count=1,
        dtype=pixels.dtype,
        crs=crs,
        transform=transform,
        **{**defaults, **profile},
    ) as dataset:
        dataset.write(pixels, 1)
        dataset.set_band_description(1, "gray")
    return SceneSource(path.stem, (BandFile(str(path)),))
