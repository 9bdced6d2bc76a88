"""Batches in which every pixel is unique, and their views."""

import numpy as np
import tensorflow as tf

from trainer.augment.augmentation import Augmentation
from trainer.augment.config import Augment

STILL = {"flip": (), "quarter_turns": False}


def distinct(count=64, height=8, width=8, bands=3):
    """Returns uint8 (N, H, W, C) of equal images whose values all differ."""
    values = np.arange(height * width * bands, dtype=np.int64).reshape(height, width, bands)
    return np.tile(values % 251, (count, 1, 1, 1)).astype(np.uint8)


def tiles(count=32, side=16, bands=4):
    """float32 (N, H, W, C) with a corner of no data."""
    pixels = np.random.default_rng(2).normal(800, 100, (count, side, side, bands))
    pixels[:, : side // 4, : side // 2] = np.nan
    return pixels.astype(np.float32)


def view(parts, batch, seed=(3, 4)):
    """Returns the views of a batch as numpy arrays; `parts` are the fields of `Augment`."""
    bands = [f"B{number}" for number in range(batch["images"].shape[-1])]
    layer = Augmentation(Augment.model_validate({**STILL, **parts}), bands, ignore=9)
    seen = layer({name: tf.constant(it) for name, it in batch.items()}, seed=tf.constant(seed))
    return {name: it.numpy() for name, it in seen.items()}
