"""Bodies that the user's own code builds."""

from typing import Any

import keras

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from components.raster.messages import first_line
from trainer.data.bands import BandScale
from trainer.models.config import Custom
from trainer.models.features import pyramid_of
from trainer.models.norms import fix_norms
from trainer.models.standardise import scaled

_RGB = ("red", "green", "blue")
#: The configuration key of the code, for errors.
_KEY = "train.model.build"


def custom_body(
    model: Custom, image: ImageSpec, scale: BandScale | None, pooled: bool
) -> keras.Model:
    """Builds the body: pixels [N, H, W, C] to one vector an image, or to maps, fine to coarse.

    Raises:
        ConfigError: the code cannot be called or fails, or returns no network with such features.
    """
    pixels = keras.Input(image.shape, dtype=image.pixel_type)
    network = _network(model, image)
    x = scaled(pixels, image, scale)
    features = _vector(_outputs(network, x)) if pooled else _maps(network, x, image)
    body = keras.Model(pixels, features, name="custom")
    if model.weights is not None:
        _load_weights(network, model.weights)
    body.trainable = not model.frozen
    if model.pretrained:
        fix_norms(body)
    return body


def require_body(model: Custom, image: ImageSpec, pooled: bool) -> None:
    """Checks that the body can be built, by building it without its weights.

    Raises:
        ConfigError: as `custom_body`.
    """
    bands = len(image.bands or ())
    unit = BandScale((0.0,) * bands, (1.0,) * bands)
    bare = model.model_copy(update={"weights": None})
    custom_body(bare, image, unit, pooled)


def _network(model: Custom, image: ImageSpec) -> keras.layers.Layer:
    network = model.made(_KEY, input_shape=image.shape, bands=image.bands or _RGB)
    if isinstance(network, keras.layers.Layer):
        return network
    raise ConfigError(
        f"{_KEY}: {model.build} returns a {type(network).__name__}; it must be a keras.Model, or "
        "another keras.layers.Layer, of Keras 3."
    )


def _outputs(network: keras.layers.Layer, x: Any) -> list[Any]:
    """Returns all outputs, float [N, ...], in order.

    Raises:
        ConfigError: it does not accept the pixels, or returns something else.
    """
    declared = [each.shape for each in getattr(network, "inputs", None) or ()]
    if any(_differ(shape, x.shape) for shape in declared):
        # Keras itself would only find out when it computes the first batch.
        raise ConfigError(
            f"{_KEY}: {network.name} takes {', '.join(map(str, declared))}, but gets pixels of "
            f"{x.shape}; build it for the argument input_shape."
        )
    try:
        outputs = keras.tree.flatten(network(x))
    except Exception as error:  # the user's layers may raise anything
        raise ConfigError(
            f"{_KEY}: {network.name} does not accept pixels of {x.shape}: {first_line(error)}"
        ) from error
    wrong = [each for each in outputs if None in each.shape[1:] or len(each.shape) not in (2, 3, 4)]
    if wrong or not outputs:
        shapes = ", ".join(str(each.shape) for each in outputs) or "nothing"
        raise ConfigError(
            f"{_KEY}: {network.name} returns {shapes}; features are vectors [N, D], tokens "
            "[N, T, D] or maps [N, h, w, D] of known sizes."
        )
    return outputs


def _vector(outputs: list[Any]) -> Any:
    """Returns one vector an image: the output, its mean over all places, or that of the coarsest
    of several maps.
    """
    if len(outputs) > 1:
        outputs = _sorted(outputs)
    match len(outputs[-1].shape):
        case 2:
            return outputs[-1]
        case 3:
            return keras.layers.GlobalAveragePooling1D()(outputs[-1])
        case _:
            return keras.layers.GlobalAveragePooling2D()(outputs[-1])


def _maps(network: keras.layers.Layer, x: Any, image: ImageSpec) -> list[Any]:
    """Returns a network's maps; if it returns only one, the deepest at each stride within it."""
    outputs = _outputs(network, x)
    inner = _inner_maps(network, image) if len(outputs) == 1 else []
    if len(inner) > 1 and tuple(inner[-1].shape[1:]) == tuple(outputs[0].shape[1:]):
        return keras.Model(network.inputs[0], inner, name=network.name)(x)
    return _sorted(outputs)


def _inner_maps(network: keras.layers.Layer, image: ImageSpec) -> list[Any]:
    if not isinstance(network, keras.Model) or len(getattr(network, "inputs", None) or ()) != 1:
        return []  # only a functional model knows the outputs of its layers
    # A layer that is used several times has no single output.
    layers = [layer for layer in network.layers if len(layer._inbound_nodes) == 1]
    found = [(layer, layer.output) for layer in layers]
    return pyramid_of(found, image.height_px, image.width_px)


def _sorted(outputs: list[Any]) -> list[Any]:
    """Returns maps from fine to coarse.

    Raises:
        ConfigError: some are not maps, or two have the same size.
    """
    if any(len(each.shape) != 4 for each in outputs):
        raise ConfigError(
            f"{_KEY}: the network returns {', '.join(str(each.shape) for each in outputs)}; this "
            "task needs feature maps: return maps [N, h, w, D] at several strides, as a list."
        )
    maps = sorted(outputs, key=lambda each: -each.shape[1] * each.shape[2])
    sizes = [tuple(each.shape[1:3]) for each in maps]
    if len(set(sizes)) < len(sizes):
        raise ConfigError(
            f"{_KEY}: two feature maps have the same size ({', '.join(map(str, sizes))}); return "
            "one for each stride."
        )
    return maps


def _load_weights(network: keras.layers.Layer, path: str) -> None:
    try:
        network.load_weights(path)
    except Exception as error:  # Keras, HDF5 and the network's own layers raise many types
        raise ConfigError(
            f"train.model.weights: {path} does not fit {network.name}: {first_line(error)}"
        ) from error


def _differ(declared: tuple[int | None, ...], given: tuple[int | None, ...]) -> bool:
    return len(declared) != len(given) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(declared, given, strict=True)
    )
