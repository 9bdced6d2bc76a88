"""Bodies from KerasHub presets, with their preprocessing."""

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from components.raster.messages import first_line
from trainer.models.config import Preset, is_folder, require_preset_folder
from trainer.models.stem import (
    IMAGENET_MEAN,
    IMAGENET_STDDEV,
    band_kernels,
    band_offsets,
    band_shares,
)


def load_preset(model: Preset, image: ImageSpec) -> tuple[keras.Model, Callable[[Any], Any]]:
    """Loads the network for images of the spec's shape, and its preprocessing.

    The preprocessing takes RGB pixels, 0 to 255, or standardised bands; with bands, the network's
    first convolution has a kernel for each (`trainer.models.stem`).

    Raises:
        ConfigError: the preset is missing, unreadable, not a network for images, or does not match.
    """
    require_preset(model.preset)
    original, scale, offset = _read(model.preset, model.weights)
    network = _of_shape(original, image, model.preset)
    of_bands = None
    if image.bands is None:
        before = keras.layers.Rescaling(list(scale), list(offset), dtype="float32")
    else:
        shares = band_shares(image.bands, model.rgb)
        response, centre = np.diag(scale * IMAGENET_STDDEV), scale * IMAGENET_MEAN + offset
        before = keras.layers.Rescaling(1.0, list(band_offsets(response, centre, shares)))
        of_bands = partial(band_kernels, response=response, shares=shares)
    if model.weights:
        _take_weights(network, original, of_bands, model.preset)
    return network, before


def require_preset(preset: str) -> None:
    """Checks that a preset's name is known or its folder complete; does not query hubs.

    Raises:
        ConfigError: KerasHub knows no such preset, or the folder holds none.
    """
    if is_folder(preset):
        require_preset_folder(preset)
        return
    known = preset_names()
    if "://" in preset or preset in known:
        return
    near = difflib.get_close_matches(preset, known, n=3, cutoff=0.5)
    raise ConfigError(
        f"model.preset is {preset!r}, which KerasHub does not know. "
        + (f"Similar names: {', '.join(near)}. " if near else "")
        + "Write a folder with a slash (./my_preset)."
    )


def preset_names() -> tuple[str, ...]:
    """Returns the names of KerasHub's presets of networks for images."""
    import keras_hub  # takes seconds to import

    return tuple(sorted(keras_hub.layers.ImageConverter.presets))


def _read(preset: str, weights: bool) -> tuple[keras.Model, npt.NDArray[Any], npt.NDArray[Any]]:
    """Reads the saved network, and the factors [3] and offsets [3] applied to its pixels.

    Keras refuses code in a preset: classes that are neither its own nor KerasHub's, and lambdas.
    Weights are numbers in HDF5.
    """
    import keras_hub  # takes seconds to import

    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
        network = keras_hub.models.Backbone.from_preset(preset, load_weights=weights)
    except Exception as error:  # three libraries and the network raise many types
        raise ConfigError(_unread(preset, error)) from error
    shapes = [each.shape for each in network.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] != 3:
        raise ConfigError(f"model.preset is {preset!r}, which is not a network of RGB images.")
    scale = np.broadcast_to(1.0 if converter.scale is None else converter.scale, 3)
    offset = np.broadcast_to(0.0 if converter.offset is None else converter.offset, 3)
    return network, scale.astype(float), offset.astype(float)


def _unread(preset: str, error: Exception) -> str:
    if is_folder(preset):
        return f"The preset in {preset} cannot be read: {first_line(error)}"
    return (
        f"The preset {preset} could not be fetched: {first_line(error)} Fetch it on a machine with "
        f"network access, with keras_hub.models.Backbone.from_preset({preset!r}).save_to_preset("
        f"FOLDER) and keras_hub.layers.ImageConverter.from_preset({preset!r}).save_to_preset("
        "FOLDER), and set model.preset to that folder."
    )


def _of_shape(original: keras.Model, image: ImageSpec, preset: str) -> keras.Model:
    """Rebuilds the network, without its weights, for images of another shape."""
    config = original.get_config()
    key = "image_shape" if "image_shape" in config else "input_shape"
    try:
        return type(original).from_config({**config, key: image.shape})
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"The network of {preset} cannot be built for {image.height_px} x {image.width_px} px: "
            f"{first_line(error)}"
        ) from error


def _take_weights(
    network: keras.Model,
    original: keras.Model,
    of_bands: Callable[[Any], Any] | None,
    preset: str,
) -> None:
    """Copies the weights, except the kernel on the pixels, which is converted to the bands."""
    values = original.get_weights()
    if of_bands is not None:
        stem = next(
            number for number, each in enumerate(values) if each.ndim == 4 and each.shape[2] == 3
        )
        values[stem] = of_bands(values[stem])
    if [each.shape for each in values] != [tuple(each.shape) for each in network.weights]:
        height, width = original.inputs[0].shape[1:3]
        raise ConfigError(
            f"The weights of {preset} are for images of {height} x {width} px, and cannot be used "
            "for others; set image.height_px and image.width_px to these."
        )
    network.set_weights(values)
