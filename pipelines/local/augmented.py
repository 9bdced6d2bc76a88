"""Contact sheet of examples and their random augmentations, as training sees them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from components.ingest.look import bands_to_show, some_examples
from components.ingest.records.outcome import DecodedExample
from components.raster.errors import ConfigError
from components.raster.fitting import fit_boxes, fit_mask
from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value
from pipelines.config.tree import PipelineConfig
from serving.graph.decode import fit_image
from serving.graph.decode_tiles import fit_tile
from trainer.augment.augmentation import RGB, Augmentation
from trainer.augment.config import chosen_views
from trainer.augment.sheet import Arrays, augmented_sheet

_VIEWS = 7


def look_augmented(
    config: PipelineConfig, *, count: int = 32, bands: Sequence[str] = (), side_px: int = 128
) -> Image.Image:
    """Returns a sheet with a row for each example: unchanged in the model's shape, then its views.

    Args:
        config: the configuration; its `train.model.augment` is shown.
        count: maximum number of examples.
        bands: bands to show, as in `components.ingest.look.look`.
        side_px: side of each picture.

    Raises:
        ConfigError: nothing is augmented, or a band does not exist.
        DataError: the source cannot be read, or has no example.
    """
    views = chosen_views(config.train.model.augment)
    if views is None:
        raise ConfigError("train.model.augment is false: training sees the images as they are.")
    image = config.ingest.image
    found, classes = some_examples(config.ingest, count)
    ignore = ignore_value(len(classes))
    augmentation = Augmentation(views, image.bands or RGB, ignore)
    batch = as_batch(found, classes, image)
    shown = bands_to_show(config.ingest, bands)
    return augmented_sheet(batch, augmentation, classes, views=_VIEWS, shown=shown, side_px=side_px)


def as_batch(found: Sequence[DecodedExample], classes: Sequence[str], image: ImageSpec) -> Arrays:
    """Returns examples of one source as a batch in the model's shape, with their truth."""
    batch: dict[str, Any] = {"images": np.stack([_pixels(sample, image) for sample in found])}
    truths = [sample.truth for sample in found]
    sizes = [sample.pixels.shape[:2] for sample in found]
    if all(truth.mask is not None for truth in truths):
        ignore = ignore_value(len(classes))
        masks = [fit_mask(truth.mask, image, ignore) for truth in truths if truth.mask is not None]
        batch["masks"] = np.stack(masks)
    elif all(truth.boxes is not None for truth in truths):
        boxes = [truth.boxes for truth in truths if truth.boxes is not None]
        most = max(1, *(len(each.classes) for each in boxes))
        batch["boxes"] = np.zeros((len(found), most, 4), np.float32)
        batch["classes"] = np.full((len(found), most), -1, np.int64)
        for row, (each, size) in enumerate(zip(boxes, sizes, strict=True)):
            batch["boxes"][row, : len(each.classes)] = fit_boxes(each.edges_px, size, image)[0]
            batch["classes"][row, : len(each.classes)] = each.classes
    elif all(truth.number is not None for truth in truths):
        batch["targets"] = np.array([truth.number for truth in truths], np.float32)
    else:
        batch["targets"] = _label_targets(found, classes)
    return batch


def _label_targets(found: Sequence[DecodedExample], classes: Sequence[str]) -> np.ndarray:
    index = {name: place for place, name in enumerate(classes)}
    targets = np.zeros((len(found), len(classes)), np.float32)
    for row, sample in enumerate(found):
        names = sample.truth.labels or (sample.truth.label,)
        for name in names:
            if name in index:
                targets[row, index[name]] = 1
    return targets


def _pixels(sample: DecodedExample, image: ImageSpec) -> np.ndarray:
    if sample.valid is None:
        fitted: np.ndarray = fit_image(tf.constant(sample.pixels.astype(np.uint8)), image).numpy()
        return fitted
    known = np.where(sample.valid[..., None], sample.pixels, 0).astype(np.float32)
    pixels, valid = fit_tile(tf.constant(known), tf.constant(sample.valid), image)
    return np.where(valid.numpy()[..., None], pixels.numpy(), np.float32(np.nan))
