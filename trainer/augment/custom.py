"""Random views of the user's own, at their place among the others."""

import zlib
from collections.abc import Collection, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from components.raster.messages import first_line
from trainer.augment.batch import Batch, BatchLayer
from trainer.augment.config import CustomView

#: Names of the bands of photographs.
RGB = ("red", "green", "blue")
#: Seed with which a view is tried.
_SEED, _IGNORE = (3, 4), 255


class CustomLayer(BatchLayer):
    """View that the user's code makes.

    Args:
        own: the code and its arguments.
        key: key of the configuration that names it; views of the same code differ by it.
        bands: names of the C bands.
        ignore: the ignore value of masks.

    Raises:
        ConfigError: the code cannot be called.
    """

    def __init__(
        self, own: CustomView, key: str, bands: Sequence[str], ignore: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.built = False  # the user's code may have layers of its own
        self.own, self.key, self.bands, self.ignore = own, key, tuple(bands), ignore
        self._view = own.bound(key, bands=self.bands, ignore_value=ignore)

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        seen = self._view(dict(batch), seed)
        fault = _fault(batch, seen)
        if fault:
            raise ConfigError(f"{self.key}: {self.own.call} {fault}.")
        return {**batch, **seen}

    def _own(self, seed: tf.Tensor) -> tf.Tensor:
        kind = zlib.crc32(f"{self.own.call} {self.key}".encode()) % 2**31
        return tf.random.fold_in(seed, kind)

    def get_config(self) -> dict[str, Any]:
        own = {"own": self.own.model_dump(), "key": self.key, "bands": list(self.bands)}
        return {**super().get_config(), **own, "ignore": self.ignore}


def require_view(own: CustomView, key: str, image: ImageSpec, truth: Collection[str]) -> None:
    """Tries a view on two synthetic images with their truth.

    Args:
        key: key of the configuration that names it, for errors.
        truth: the parts of a `Batch` that training has besides the images.

    Raises:
        ConfigError: it fails, changes a shape or type, or gives different views for the same
            seed.
    """
    layer = CustomLayer(own, key, image.bands or RGB, _IGNORE)
    batch, seed = _made(image, truth), tf.constant(_SEED)
    try:
        once: dict[str, Any]
        again: dict[str, Any]
        once, again = ({**layer.view(batch, seed)} for _ in range(2))
        # Training traces a graph, in which values are not known yet.
        tf.function(layer.view)(batch, seed)
    except ConfigError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise ConfigError(
            f"{key}: {own.call} failed with {type(error).__name__}: {first_line(error)}"
        ) from error
    if any(not _equal(value, again[name]) for name, value in once.items()):
        raise ConfigError(
            f"{key}: {own.call} returns different views for the same seed, so no training could be "
            "repeated or resumed; draw from its argument seed alone "
            "(tf.random.stateless_uniform and the like)."
        )


def _equal(one: tf.Tensor, other: tf.Tensor) -> bool:
    return bool(tf.reduce_all((one == other) | ((one != one) & (other != other))))


def _fault(before: Batch, after: Any) -> str:
    """Returns why a view is not a batch of the same form, in words; empty if it is."""
    if not isinstance(after, dict):
        return f"returns a {type(after).__name__}, not a batch like {{**batch, 'images': images}}"
    known: dict[str, Any] = {**before}
    for name, value in after.items():
        if name not in known:
            return f"returns {name!r}, which is not in the batch: it has {', '.join(known)}"
        old, new = known[name], tf.convert_to_tensor(value)
        if new.dtype != old.dtype or not new.shape.is_compatible_with(old.shape):
            return (
                f"returns {name} as {new.dtype.name} {new.shape}, but got them as "
                f"{old.dtype.name} {old.shape}"
            )
    return ""


def _made(image: ImageSpec, truth: Collection[str]) -> Batch:
    """Returns two images of noise with some truth."""
    random = np.random.default_rng(0)
    height, width, _ = image.shape
    pixels = random.integers(0, 255, (2, *image.shape)).astype(image.pixel_type)
    if pixels.dtype.kind == "f":
        pixels[:, : height // 4] = np.nan
    masks = random.choice([0, 1, _IGNORE], (2, height, width)).astype(np.uint8)
    whole: Batch = {
        "images": tf.constant(pixels),
        "targets": tf.constant([[0.0], [1.0]]),
        "masks": tf.constant(masks),
        "boxes": tf.constant([[[1.0, 1.0, 5.0, 6.0]] * 3] * 2),
        "classes": tf.constant([[0, 1, -1], [-1, -1, -1]], tf.int32),
    }
    return cast(Batch, {name: it for name, it in whole.items() if name in ("images", *truth)})
