"""Builds the configured augmentation as one layer over batches."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from components.raster.errors import ConfigError
from trainer.augment.batch import Batch, BatchLayer
from trainer.augment.config import Augment
from trainer.augment.cover import RandomCloud, RandomCutout, RandomMissingBand
from trainer.augment.custom import RGB as RGB
from trainer.augment.custom import CustomLayer
from trainer.augment.geometry import RandomSymmetry, RandomWindow
from trainer.augment.light import RandomLight, RandomNoise
from trainer.augment.mixing import RandomCutmix, RandomMixup

#: The key of the user's own views in the configuration.
_CUSTOM = "train.model.augment.custom"


class Augmentation(keras.layers.Layer):
    """All configured random views, applied to a whole batch one after another.

    It keeps no state: the same batch and seed give the same views, in any process.

    Args:
        augment: the configured views.
        bands: names of the C bands.
        ignore: the ignore value of masks.

    Raises:
        ConfigError: a band group names a band twice, or one that does not exist; or the user's
            own code cannot be called.
    """

    def __init__(
        self, augment: Augment, bands: Sequence[str] = RGB, ignore: int = 255, **kwargs: Any
    ) -> None:
        super().__init__(trainable=False, autocast=False, dtype="float32", **kwargs)
        self.augment, self.bands, self.ignore = augment, tuple(bands), ignore
        self.views = _views(augment, self.bands, ignore)

    def call(self, batch: Batch, seed: tf.Tensor) -> Batch:
        """Returns a batch with random views drawn from an int32 [2] seed."""
        for view in self.views:
            batch = view(batch, seed=seed)
        return batch

    def get_config(self) -> dict[str, Any]:
        own = {"augment": self.augment.model_dump(), "bands": list(self.bands)}
        return {**super().get_config(), **own, "ignore": self.ignore}


def band_groups(groups: Sequence[Sequence[str]] | None, bands: Sequence[str]) -> tuple[int, ...]:
    """Returns the group number of each band; bands outside all groups form one more group.

    Raises:
        ConfigError: a group names a band twice, or one that does not exist.
    """
    named = [band for group in groups or () for band in group]
    for band in named:
        if band not in bands:
            raise ConfigError(f"augment.band_groups names {band!r}; there are {', '.join(bands)}.")
        if named.count(band) > 1:
            raise ConfigError(f"augment.band_groups names {band} twice; a band is in one group.")
    number = {band: index for index, group in enumerate(groups or ()) for band in group}
    found = [number.get(band, len(groups or ())) for band in bands]
    return tuple(found)


def _views(augment: Augment, bands: Sequence[str], ignore: int) -> list[BatchLayer]:
    groups = band_groups(augment.band_groups, bands)
    shown, views = augment.least_visible, list[BatchLayer]()
    own = [
        (each.before, CustomLayer(each, f"{_CUSTOM}.{number}.call", bands, ignore))
        for number, each in enumerate(augment.custom)
    ]

    def before(place: str) -> None:
        views.extend(layer for wanted, layer in own if wanted == place)

    before("flip")
    if augment.flip or augment.quarter_turns:
        views.append(RandomSymmetry(augment.flip, augment.quarter_turns))
    before("zoom")
    if augment.zoom or augment.crop or augment.shift:
        window = augment.zoom, augment.crop, augment.shift
        views.append(RandomWindow(*window, ignore=ignore, least_visible=shown))
    before("brightness")
    if augment.brightness or augment.contrast or augment.colour:
        light = augment.brightness, augment.contrast, augment.colour
        views.append(RandomLight(groups, *light))
    before("noise")
    if augment.noise:
        views.append(RandomNoise(augment.noise))
    before("cloud")
    if augment.cloud:
        views.append(RandomCloud(augment.cloud, ignore, shown))
    before("missing_band")
    if augment.missing_band:
        views.append(RandomMissingBand(augment.missing_band))
    before("cutout")
    if augment.cutout:
        views.append(RandomCutout(augment.cutout, ignore, shown))
    before("mixup")
    if augment.mixup:
        views.append(RandomMixup(augment.mixup))
    if augment.cutmix:
        views.append(RandomCutmix(augment.cutmix))
    before("end")
    return views
