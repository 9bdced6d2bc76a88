"""Conversion of networks for RGB photographs to any bands.

The first convolution, the stem, gets a kernel for each band. A band named red, green or blue takes
that colour's kernel, any other the mean of the three. All kernels are multiplied by 3 / C, so that
an image equally bright in all bands gets the response of a gray image in the RGB network. The
network's scaling before the stem is measured and folded into the kernels, which take bands of mean
0 and deviation 1 like the colours of ImageNet.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from components.raster.errors import ConfigError

#: Mean and deviation of red, green and blue in ImageNet, 0 to 255 (keras.applications, "torch").
IMAGENET_MEAN = 255 * np.array([0.485, 0.456, 0.406])
IMAGENET_STDDEV = 255 * np.array([0.229, 0.224, 0.225])

Array = npt.NDArray[np.float64]


def for_bands(
    network: keras.Model,
    preprocess: Callable[[Any], Any],
    bands: Sequence[str],
    rgb: Sequence[str],
    pretrained: bool,
) -> Callable[[Any], Any]:
    """Returns the network as a function of standardised bands [N, H, W, C].

    Args:
        network: takes RGB pixels [N, H, W, 3] after `preprocess`; its layers are reused.
        preprocess: takes RGB pixels, 0 to 255.
        bands: names of the C bands, in order.
        rgb: names of the red, green and blue bands, if present.
        pretrained: whether the stem reuses kernels; else it starts from scratch.

    Raises:
        ConfigError: the network does not begin with one convolution on the pixels.
    """
    holder = _stem(network)
    stem, *then = holder.layers if isinstance(holder, keras.Sequential) else [holder]
    before = network.layers[: network.layers.index(holder)]
    paddings = [layer for layer in before if isinstance(layer, keras.layers.ZeroPadding2D)]
    own_stem = keras.layers.Conv2D.from_config(stem.get_config())
    own_stem.build((*stem.input.shape[:-1], len(bands)))
    # A nested Sequential's `input` and `output` are its own; the node has those in the network.
    call = holder._inbound_nodes[0]
    (seen,), (given,) = call.input_tensors, call.output_tensors
    response, offset = _measured(keras.Model(network.input, seen), preprocess)
    shares = band_shares(bands, rgb)
    if pretrained:
        kernel, *bias = stem.get_weights()
        own_stem.set_weights([band_kernels(kernel, response, shares), *bias])
    shift = keras.layers.Rescaling(1.0, offset=list(band_offsets(response, offset, shares)))
    rest = keras.Model(given, network.output, name=network.name)

    def apply(standardised: Any) -> Any:
        x = shift(standardised)
        for padding in paddings:
            x = padding(x)
        for layer in (own_stem, *then):
            x = layer(x)
        return rest(x)

    return apply


def band_shares(bands: Sequence[str], rgb: Sequence[str]) -> Array:
    """Returns each band's shares of the colours' kernels, [C, 3], in rows that add up to 1."""
    colours = [name.casefold() for name in rgb]
    shares = np.full((len(bands), 3), 1 / 3)
    for row, band in enumerate(bands):
        if band.casefold() in colours:
            shares[row] = np.eye(3)[colours.index(band.casefold())]
    return shares


def band_kernels(kernel: npt.NDArray[np.float32], response: Array, shares: Array) -> Array:
    """Computes kernels of bands [h, w, C, F] from those of the stem [h, w, 3, F].

    Args:
        response: [3, 3]: increase of each of the stem's channels (columns) when a colour (rows)
            brightens by one deviation.
        shares: as `band_shares` returns them.
    """
    by_colour = np.einsum("rk,hwkf->hwrf", response, kernel)
    return np.einsum("cr,hwrf->hwcf", shares, by_colour) * (3 / len(shares))


def band_offsets(response: Array, offset: Array, shares: Array) -> Array:
    """Computes offsets [C] of standardised bands that map their mean to ImageNet's at the stem.

    The match is exact if red, green and blue are among the bands, else as close as the kernels
    allow.
    """
    of_colours = np.linalg.solve(response.T, offset)
    found: Array = np.linalg.lstsq(shares.T * (3 / len(shares)), of_colours, rcond=None)[0]
    return found


def _measured(before: keras.Model, preprocess: Callable[[Any], Any]) -> tuple[Array, Array]:
    """Measures the response as in `band_kernels`, and the stem's input for ImageNet's mean: [3]."""
    colours = IMAGENET_MEAN + np.concatenate([np.zeros((1, 3)), np.diag(IMAGENET_STDDEV)])
    height, width = before.input.shape[1:3]
    images = np.tile(colours[:, None, None].astype(np.float32), (1, height, width, 1))
    seen = np.asarray(before(preprocess(images)), np.float64)
    centre = seen[:, seen.shape[1] // 2, seen.shape[2] // 2]
    return centre[1:] - centre[0], centre[0]


def _stem(network: keras.Model) -> keras.layers.Layer:
    """Returns the convolution on the pixels, or the Sequential that begins with it."""
    for layer in network.layers:
        first = layer.layers[0] if isinstance(layer, keras.Sequential) else layer
        if isinstance(first, keras.layers.Conv2D) and first.input.shape[-1] == 3:
            return layer
    raise ConfigError(
        f"{network.name} does not begin with a plain convolution, so it cannot be converted to "
        "other bands; use another one (such as ResNet50, MobileNetV2, EfficientNetB0), "
        "or small_cnn."
    )
