"""Random views of an image that leave its class as it is; in the training graph only."""

from collections.abc import Callable
from typing import Any

import keras


class RandomQuarterTurn(keras.layers.Layer):
    """Transposes half of the images of a batch [N, S, S, C].

    Overhead imagery has no up: with flips along both axes this gives all eight symmetries of the
    square, without resampling a pixel.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Images of the same shape and type."""
        if not training:
            return images
        shape = (keras.ops.shape(images)[0], 1, 1, 1)
        turned = keras.random.uniform(shape, seed=self.generator) < 0.5
        return keras.ops.where(turned, keras.ops.transpose(images, (0, 2, 1, 3)), images)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


def augmentation(shape: tuple[int, int, int], dtype: str) -> Callable[[Any], Any]:
    """Flips, and quarter turns where the image (H, W, C) is square; pixels [N, H, W, C] to same."""
    # Keras' "horizontal_and_vertical" does both or neither; a layer for each decides for itself.
    layers: list[keras.layers.Layer] = [
        keras.layers.RandomFlip(axis, dtype=dtype) for axis in ("horizontal", "vertical")
    ]
    if shape[0] == shape[1]:
        layers.append(RandomQuarterTurn(dtype=dtype))

    def apply(pixels: Any) -> Any:
        for layer in layers:
            pixels = layer(pixels)
        return pixels

    return apply
