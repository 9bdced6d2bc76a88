"""SavedModels with the served signatures and known answers."""

import tensorflow as tf

from components.raster.image import ImageSpec
from serving.contract.contract import Contract
from serving.contract.needs import TrainedTiles
from tests.components.models import save_with_signatures

CLASSES = ("dark", "bright")
SIDE_PX = 8
BANDS = ("red", "nir")


class Brightness(tf.Module):
    """Two logits: how far the mean is below, or above, the middle of the range."""

    def __init__(self, middle, turned=False):
        super().__init__()
        self.middle = tf.Variable(middle)
        self.sign = -1.0 if turned else 1.0

    def __call__(self, pixels):
        known = tf.where(
            tf.math.is_finite(tf.cast(pixels, tf.float32)), tf.cast(pixels, tf.float32), 0.0
        )
        off = self.sign * (tf.reduce_mean(known, axis=(1, 2, 3)) / self.middle - 1.0)
        return 10.0 * tf.stack([-off, off], axis=1)


def save(folder, contract, middle, turned=False):
    """Exports the network with the served signatures."""
    save_with_signatures(Brightness(middle, turned), contract, folder)


def save_for_photographs(folder, turned=False):
    """Bytes: the middle is 127.5."""
    image = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX)
    save(folder, Contract(image=image, classes=CLASSES), 127.5, turned)


def save_for_rasters(folder, turned=False):
    """Numbers of two bands: the middle is 1000; learnt from tiles of 10 m."""
    image = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX, bands=BANDS)
    side = (float(SIDE_PX), float(SIDE_PX))
    tiles = TrainedTiles(height_px=side, width_px=side, gsd_m=(10.0, 10.0))
    save(folder, Contract(image=image, classes=CLASSES, tiles=tiles), 1000.0, turned)
