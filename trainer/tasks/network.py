"""A body and a head as one network, and what is trained and served of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from components.raster.image import ImageSpec
from trainer.data.bands import BandScale
from trainer.models.config import Model, SmallCnn
from trainer.models.pretrained import pretrained_body
from trainer.models.small_cnn import small_cnn_body
from trainer.tasks.objective import Objective


@dataclass(frozen=True, eq=False)
class Network:
    """A model in two parts, so that a body that does not learn can be run once over the data.

    Attributes:
        body: pixels [N, H, W, C] (`serving.graph.inputs`) to features; scales the pixels itself.
        head: features to the objective's outputs.
        decode: from outputs to what is served of them, as layers.
        augment: whether training shows random views of the images.
        pooled: whether the features are one vector an image.
    """

    body: keras.Model
    head: keras.Model
    decode: Callable[[Any], Any]
    augment: bool
    pooled: bool

    @property
    def repeats_features(self) -> bool:
        """Whether a body that does not learn gives an image the same one vector in every epoch."""
        return self.pooled and not self.augment

    def served(self) -> keras.Model:
        """Pixels to what is served, as inference runs it."""
        return self._chained(self.decode, "served")

    def trained(self) -> keras.Model:
        """Pixels to outputs; shares the weights of `served`. Views come with the batches."""
        return self._chained(lambda outputs: outputs, "trained")

    def _chained(self, back: Callable[[Any], Any], name: str) -> keras.Model:
        pixels = keras.Input(self.body.input.shape[1:], dtype=self.body.input.dtype, name="pixels")
        return keras.Model(pixels, back(self.head(self.body(pixels))), name=name)


def build_network(
    model: Model, image: ImageSpec, objective: Objective, scale: BandScale | None = None
) -> Network:
    """A fresh model for images of the spec's shape.

    Args:
        scale: of the bands; needed where the spec names bands.

    Raises:
        ConfigError: the backbone or its weights do not exist or do not fit.
    """
    if isinstance(model, SmallCnn):
        body = small_cnn_body(model, image, scale, objective.pooled)
    else:
        body = pretrained_body(model, image, scale, objective.pooled)
    features = keras.tree.map_structure(
        lambda output: keras.Input(output.shape[1:], dtype=output.dtype), body.output
    )
    outputs = objective.head(features, image, model.dropout)
    head = keras.Model(features, outputs, name="head")
    return Network(body, head, objective.decode, bool(model.augment), objective.pooled)
