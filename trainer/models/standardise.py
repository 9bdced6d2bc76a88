"""Standardisation of raster bands, the first layer of their models."""

from collections.abc import Sequence
from typing import Any

import keras

from components.raster.image import ImageSpec
from trainer.data.bands import BandScale


@keras.saving.register_keras_serializable("skymill")
class Standardise(keras.layers.Layer):
    """Scales each band to mean 0 and deviation 1; values that are not finite become 0, the mean.

    Args:
        mean: mean of each of the C bands, in the tiles' units.
        stddev: likewise; a constant band (0) is only centred.
    """

    def __init__(self, mean: Sequence[float], stddev: Sequence[float], **kwargs: Any) -> None:
        # Sensor values are large compared with their deviations, which half precision rounds away.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.mean = tuple(mean)
        self.stddev = tuple(stddev)

    def call(self, pixels: Any) -> Any:
        """Standardises float32 [N, H, W, C]; the output has no NaN."""
        deviations = [stddev if stddev > 0 else 1.0 for stddev in self.stddev]
        scaled = (pixels - keras.ops.array(self.mean, self.compute_dtype)) / keras.ops.array(
            deviations, self.compute_dtype
        )
        return keras.ops.where(keras.ops.isfinite(pixels), scaled, keras.ops.zeros_like(scaled))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": list(self.mean), "stddev": list(self.stddev)}


def standardised(pixels: Any, scale: BandScale | None) -> Any:
    """Standardises bands by their scale.

    Raises:
        ValueError: there is no scale.
    """
    if scale is None:
        raise ValueError("a model of bands needs their scale")
    return Standardise(scale.mean, scale.stddev)(pixels)


def scaled(pixels: Any, image: ImageSpec, scale: BandScale | None) -> Any:
    """Scales the pixels of networks from scratch: photographs to -1 to 1, bands by their scale.

    Raises:
        ValueError: the image has bands, and there is no scale.
    """
    if image.bands is not None:
        return standardised(pixels, scale)
    return keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32")(pixels)
