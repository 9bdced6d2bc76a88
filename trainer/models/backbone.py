"""Bodies from keras.applications, by name."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import keras

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from components.raster.messages import first_line
from trainer.models.config import Backbone


def backbone_names() -> tuple[str, ...]:
    """Returns the names of the constructors in keras.applications."""
    return tuple(
        sorted(
            name
            for name, member in inspect.getmembers(keras.applications, inspect.isfunction)
            if name[0].isupper()
        )
    )


def load_backbone(model: Backbone, image: ImageSpec) -> tuple[keras.Model, Callable[[Any], Any]]:
    """Loads the network for RGB and the pixel scaling that belongs to it.

    Raises:
        ConfigError: the network or its weights do not exist or do not match.
    """
    require_backbone(model.name)
    if model.weights is None:
        network = _construct(model, image, None)
    elif model.weights == "imagenet":
        network = _with_imagenet(model, image)
    else:
        network = _with_file(model, image, model.weights)
    return network, _preprocessing(model.name)


def require_backbone(name: str) -> None:
    """Checks that keras.applications has a network.

    Raises:
        ConfigError: it has no network of this name.
    """
    if name not in backbone_names():
        raise ConfigError(
            f"model.name is {name!r}, which keras.applications does not have; "
            f"it has {', '.join(backbone_names())}."
        )


def _construct(model: Backbone, image: ImageSpec, weights: str | None) -> keras.Model:
    constructor = getattr(keras.applications, model.name)
    shape = (image.height_px, image.width_px, 3)
    fixed = {"weights": weights, "include_top": False, "input_shape": shape}
    try:
        return constructor(**{**model.arguments, **fixed})
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{model.name} cannot be built for {image.height_px} x {image.width_px} px with "
            f"arguments {model.arguments} and weights {weights}: {first_line(error)}"
        ) from error


def _with_imagenet(model: Backbone, image: ImageSpec) -> keras.Model:
    try:
        return _construct(model, image, "imagenet")
    except ConfigError:
        raise
    except Exception as error:  # Keras raises a bare Exception when a download fails.
        raise ConfigError(
            f"The ImageNet weights of {model.name} could not be downloaded: {first_line(error)} "
            "Fetch them on a machine with network access and set model.weights to the file."
        ) from error


def _with_file(model: Backbone, image: ImageSpec, path: str) -> keras.Model:
    if not Path(path).is_file():
        raise ConfigError(
            f"model.weights is {path!r}, which is not a file here; give the path of a weights file "
            "without its top, or imagenet, or null to start from scratch."
        )
    network = _construct(model, image, None)
    try:
        network.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The weights in {path} do not fit {model.name} with arguments {model.arguments}: "
            f"{first_line(error)} Give the arguments that the weights were made with (such as "
            "alpha), and weights without the top."
        ) from error
    return network


def _preprocessing(name: str) -> Callable[[Any], Any]:
    """Returns the scaling that a family's weights expect; newer families do it in the network."""
    for module in pkgutil.iter_modules(keras.applications.__path__):
        family = importlib.import_module(f"keras.applications.{module.name}")
        if hasattr(family, name) and hasattr(family, "preprocess_input"):
            return cast(Callable[[Any], Any], family.preprocess_input)
    return lambda pixels: pixels
