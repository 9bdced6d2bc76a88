"""Pretrained networks as bodies."""

from collections.abc import Callable
from typing import Any

import keras

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from trainer.data.bands import BandScale
from trainer.models.backbone import load_backbone
from trainer.models.config import Backbone, Preset
from trainer.models.features import pyramid_of
from trainer.models.norms import fix_norms, follow_norms
from trainer.models.padded import padded
from trainer.models.preset import load_preset
from trainer.models.standardise import standardised
from trainer.models.stem import for_bands
from trainer.models.tokens import token_grid, token_map, token_vector


def pretrained_body(
    model: Backbone | Preset, image: ImageSpec, scale: BandScale | None, pooled: bool
) -> keras.Model:
    """Builds the body: pixels [N, H, W, C] to one vector an image, or to maps, fine to coarse.

    Raises:
        ConfigError: the network or its weights do not exist or do not match.
    """
    whole, preprocess = _load(model, image, pooled)
    network = keras.Model(
        whole.inputs[0], _single(whole) if pooled else _maps(whole, image), name=whole.name
    )
    pixels = keras.Input(image.shape, dtype=image.pixel_type)
    if image.bands is None:
        # Converts to float; the family's own scaling comes next.
        x = network(preprocess(keras.layers.Rescaling(1.0, dtype="float32")(pixels)))
    elif isinstance(model, Preset):
        x = network(preprocess(standardised(pixels, scale)))
    else:
        adapted = for_bands(network, preprocess, image.bands, model.rgb, model.pretrained)
        x = adapted(standardised(pixels, scale))
    features = _vector(x, whole, image) if pooled else x
    body = keras.Model(pixels, features, name="backbone")
    body.trainable = not model.frozen
    if model.pretrained:
        fix_norms(body)
    else:
        follow_norms(body)
    return body


def _load(
    model: Backbone | Preset, image: ImageSpec, pooled: bool
) -> tuple[keras.Model, Callable[[Any], Any]]:
    if isinstance(model, Preset):
        return load_preset(model, image)
    network, preprocess = load_backbone(model, image)
    return (network if pooled else padded(network)), preprocess


def _single(network: keras.Model) -> Any:
    if isinstance(network.output, keras.KerasTensor):
        return network.output
    raise ConfigError(
        f"{network.name} has several outputs and no features of the image as a whole; use "
        "another network for this task."
    )


def _vector(x: Any, network: keras.Model, image: ImageSpec) -> Any:
    if len(x.shape) == 3:
        return token_vector(x, *_grid(network, x, image))
    return keras.layers.GlobalAveragePooling2D()(x)


def _maps(network: keras.Model, image: ImageSpec) -> list[Any]:
    """Returns the deepest map at each stride, or the maps that the network itself names."""
    outputs = [(layer, layer.output) for layer in network.layers]
    named = getattr(network, "pyramid_outputs", {})
    outputs += [(network, output) for output in named.values()]
    maps = pyramid_of(outputs, image.height_px, image.width_px)
    if maps:
        return maps
    tokens = _single(network)
    return [token_map(tokens, *_grid(network, tokens, image))]


def _grid(network: keras.Model, tokens: Any, image: ImageSpec) -> tuple[int, int]:
    """Returns the rows and columns of the patches of the tokens [N, T, D]."""
    patch_px = getattr(network, "patch_size", None)
    found = token_grid(tokens.shape[1], image.height_px, image.width_px, patch_px)
    if found is None:
        raise ConfigError(
            f"{network.name} returns {tokens.shape[1]} tokens without their places in the image; "
            "use another network."
        )
    return found
