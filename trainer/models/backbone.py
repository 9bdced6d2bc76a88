"""A network of keras.applications as a body."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import keras

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from trainer.bands import BandScale
from trainer.models.config import Backbone
from trainer.models.features import pyramid_of
from trainer.standardise import standardised
from trainer.stem import for_bands


def backbone_names() -> tuple[str, ...]:
    """The constructors that keras.applications offers."""
    return tuple(
        sorted(
            name
            for name, member in inspect.getmembers(keras.applications, inspect.isfunction)
            if name[0].isupper()
        )
    )


def backbone_body(
    model: Backbone, image: ImageSpec, scale: BandScale | None, pooled: bool
) -> keras.Model:
    """Pixels [N, H, W, C] to one vector an image, or to feature maps from fine to coarse.

    Raises:
        ConfigError: the network or its weights do not exist or do not fit.
    """
    network = _load_backbone(model, image)
    if not pooled:
        outputs = [(layer, layer.output) for layer in network.layers]
        pyramid = pyramid_of(outputs, image.height_px, image.width_px)
        network = keras.Model(network.input, pyramid, name=network.name)
    pixels = keras.Input(image.shape, dtype=image.pixel_type)
    preprocess = _preprocessing(model.name)
    if image.bands is None:
        x = keras.layers.Rescaling(1.0, dtype="float32")(
            pixels
        )  # to float; the family's own scaling comes next
        x = network(preprocess(x))
    else:
        pretrained = model.weights is not None
        adapted = for_bands(network, preprocess, image.bands, model.rgb, pretrained)
        x = adapted(standardised(pixels, scale))
    features = keras.layers.GlobalAveragePooling2D()(x) if pooled else x
    body = keras.Model(pixels, features, name="backbone")
    body.trainable = model.trainable == "all"
    if model.weights is not None:
        _fix_batch_norm(network)
    return body


def _fix_batch_norm(network: keras.Model) -> None:
    """Keeps the statistics of pretrained weights: those of a few small batches would ruin them.

    Calling the network with `training=False` would not do: the training flag of the outer model
    overrides it (Keras 3). Batch norm that is not trainable runs in inference mode in any case.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _load_backbone(model: Backbone, image: ImageSpec) -> keras.Model:
    if model.name not in backbone_names():
        raise ConfigError(
            f"model.name is {model.name!r}, which keras.applications does not have; "
            f"it has {', '.join(backbone_names())}."
        )
    if model.weights is None:
        return _construct(model, image, None)
    if model.weights == "imagenet":
        return _with_imagenet(model, image)
    return _with_file(model, image, model.weights)


def _construct(model: Backbone, image: ImageSpec, weights: str | None) -> keras.Model:
    constructor = getattr(keras.applications, model.name)
    shape = (image.height_px, image.width_px, 3)
    fixed = {"weights": weights, "include_top": False, "input_shape": shape}
    try:
        return constructor(**{**model.arguments, **fixed})
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{model.name} cannot be built for {image.height_px} x {image.width_px} px with "
            f"arguments {model.arguments} and weights {weights}: {_first_line(error)}"
        ) from error


def _with_imagenet(model: Backbone, image: ImageSpec) -> keras.Model:
    try:
        return _construct(model, image, "imagenet")
    except ConfigError:
        raise
    except Exception as error:  # Keras raises a bare Exception when a download fails.
        raise ConfigError(
            f"The ImageNet weights of {model.name} could not be downloaded: {_first_line(error)} "
            "Fetch them on a machine with network access and set model.weights to the file."
        ) from error


def _with_file(model: Backbone, image: ImageSpec, path: str) -> keras.Model:
    if not Path(path).is_file():
        raise ConfigError(
            f"model.weights is {path!r}, which is no file here; give the path of a weights file "
            "without its top, or imagenet, or null to start from scratch."
        )
    network = _construct(model, image, None)
    try:
        network.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The weights in {path} do not fit {model.name} with arguments {model.arguments}: "
            f"{_first_line(error)} Give the arguments that the weights were made with (such as "
            "alpha), and weights without the top."
        ) from error
    return network


def _preprocessing(name: str) -> Callable[[Any], Any]:
    """The scaling that a family's weights expect; newer families do it in the network itself."""
    for module in pkgutil.iter_modules(keras.applications.__path__):
        family = importlib.import_module(f"keras.applications.{module.name}")
        if hasattr(family, name) and hasattr(family, "preprocess_input"):
            return cast(Callable[[Any], Any], family.preprocess_input)
    return lambda pixels: pixels


def _first_line(error: Exception) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if line.endswith((".", "!", "?")) else f"{line}."
