"""The models: from pixels as they were decoded to one logit a class."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from trainer.augment import augmentation
from trainer.bands import BandScale
from trainer.config import Backbone, Model, SmallCnn
from trainer.standardise import Standardise
from trainer.stem import for_bands


@dataclass(frozen=True, eq=False)
class Classifier:
    """A model in two parts, so that a body that does not learn can be run once over the data.

    Attributes:
        body: pixels [N, H, W, C] (`serving.inputs`) to float features [N, D]; scales them itself.
        head: features [N, D] to logits [N, K].
        augment: whether training shows flipped and turned images.
    """

    body: keras.Model
    head: keras.Model
    augment: bool

    @property
    def body_is_fixed(self) -> bool:
        """Whether the features of an image are the same in every epoch."""
        return not self.augment and not self.body.trainable

    def served(self) -> keras.Model:
        """Pixels to logits, as inference runs it."""
        return self._chained(lambda pixels: pixels, "served")

    def trained(self) -> keras.Model:
        """Pixels to logits with the augmentation in front; shares the weights of `served`."""
        pixels = self.body.input
        front = augmentation(pixels.shape[1:], pixels.dtype) if self.augment else lambda x: x
        return self._chained(front, "trained")

    def _chained(self, front: Callable[[Any], Any], name: str) -> keras.Model:
        pixels = keras.Input(self.body.input.shape[1:], dtype=self.body.input.dtype, name="pixels")
        return keras.Model(pixels, self.head(self.body(front(pixels))), name=name)


def build_classifier(
    model: Model, image: ImageSpec, classes: int, scale: BandScale | None = None
) -> Classifier:
    """A fresh model for images of the spec's shape.

    Args:
        scale: of the bands; needed where the spec names bands.

    Raises:
        ConfigError: the backbone or its weights do not exist or do not fit.
    """
    if isinstance(model, Backbone):
        body = _backbone_body(model, image, scale)
    else:
        body = _small_cnn_body(model, image, scale)
    features = keras.Input(body.output_shape[1:], name="features")
    dropped = keras.layers.Dropout(model.dropout)(features)
    logits = keras.layers.Dense(classes, name="logits", dtype="float32")(dropped)
    return Classifier(body, keras.Model(features, logits, name="head"), model.augment)


def backbone_names() -> tuple[str, ...]:
    """The constructors that keras.applications offers."""
    return tuple(
        sorted(
            name
            for name, member in inspect.getmembers(keras.applications, inspect.isfunction)
            if name[0].isupper()
        )
    )


def _small_cnn_body(model: SmallCnn, image: ImageSpec, scale: BandScale | None) -> keras.Model:
    pixels = keras.Input(image.shape, dtype=image.pixel_type)
    if image.bands is None:
        x = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    else:
        x = _standardised(pixels, scale)
    x = _convolution(x, model.filters[0], model.batch_norm)
    x = keras.layers.MaxPooling2D(2, padding="same")(x)
    for filters in model.filters[1:]:
        x = _residual_block(x, filters, model.batch_norm)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, x, name="small_cnn")


def _residual_block(x: Any, filters: int, batch_norm: bool) -> Any:
    """Halves the sides: a pre-pooled shortcut beside two convolutions (He et al. 2015, type B)."""
    y = _convolution(x, filters, batch_norm, strides=2)
    y = _convolution(y, filters, batch_norm, activation=None)
    shortcut = keras.layers.AveragePooling2D(2, padding="same")(x)
    shortcut = _convolution(shortcut, filters, batch_norm, activation=None, kernel=1)
    return keras.layers.ReLU()(keras.layers.Add()([y, shortcut]))


def _convolution(
    x: Any,
    filters: int,
    batch_norm: bool,
    *,
    kernel: int = 3,
    strides: int = 1,
    activation: str | None = "relu",
) -> Any:
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer="he_normal",
    )(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.Activation(activation)(x) if activation else x


def _standardised(pixels: Any, scale: BandScale | None) -> Any:
    if scale is None:
        raise ValueError("a model of bands needs their scale")
    return Standardise(scale.mean, scale.stddev)(pixels)


def _backbone_body(model: Backbone, image: ImageSpec, scale: BandScale | None) -> keras.Model:
    network = _load_backbone(model, image)
    pixels = keras.Input(image.shape, dtype=image.pixel_type)
    preprocess = _preprocessing(model.name)
    if image.bands is None:
        x = keras.layers.Rescaling(1.0)(pixels)  # to float; the family's own scaling comes next
        x = network(preprocess(x))
    else:
        pretrained = model.weights is not None
        adapted = for_bands(network, preprocess, image.bands, model.rgb, pretrained)
        x = adapted(_standardised(pixels, scale))
    body = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(x), name="backbone")
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
