"""A body and a head as one network, in its trained and served forms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from components.raster.image import ImageSpec
from trainer.data.bands import BandScale
from trainer.models.affine import affine_end
from trainer.models.config import Custom, Model, SmallCnn
from trainer.models.custom import custom_body
from trainer.models.features import last_maps
from trainer.models.pretrained import pretrained_body
from trainer.models.small_cnn import small_cnn_body
from trainer.tasks.explainable import ExplainableNetwork
from trainer.tasks.objective import Objective


@dataclass(frozen=True, eq=False)
class Network:
    """A model in two parts, so that a frozen body can run once over the data.

    Attributes:
        body: pixels [N, H, W, C] (`serving.graph.inputs`) to features; includes the scaling of
            pixels.
        head: features to the objective's outputs.
        decode: outputs to served outputs, as layers.
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
        """True if a frozen body gives an image the same single vector in every epoch."""
        return self.pooled and not self.augment

    def served(self) -> keras.Model:
        """Returns the model for inference: pixels to served outputs."""
        return self._chained(self.decode, "served")

    def trained(self) -> keras.Model:
        """Returns the model for training: pixels to outputs, sharing the weights of `served`.

        The batches contain the random views.
        """
        return self._chained(lambda outputs: outputs, "trained")

    def embedded(self) -> keras.Model:
        """Returns the model for inference, which also returns the features as one vector.

        Its second output has it by the name `embedding` (`serving.graph.signatures.Reliable`).
        """
        pixels = keras.Input(self.body.input.shape[1:], dtype=self.body.input.dtype, name="pixels")
        features = self.body(pixels)
        outputs = self.decode(self.head(features))
        traits = {"embedding": self._vector(features)}
        return keras.Model(pixels, (outputs, traits), name="embedded")

    def _vector(self, features: Any) -> Any:
        """Returns the features as one vector [N, D]: of maps, the mean of the coarsest."""
        return features if self.pooled else keras.layers.GlobalAveragePooling2D()(features[-1])

    def explainable(self) -> ExplainableNetwork:
        """Returns the network for explanations, sharing its weights.

        It takes float pixels, since gradients do not reach the bytes of photographs.
        """
        maps = last_maps(self.body) if self.pooled else [*self.body.output]
        vector = [self.body.output] if self.pooled else []
        end = affine_end(keras.Model(self.body.input, [*maps, *vector]))
        pixels = keras.Input(self.body.input.shape[1:], dtype="float32", name="pixels")
        [values] = _repeated(self.body.input, [end], pixels)
        entering = keras.Input(values.shape[1:], dtype=values.dtype, name="values")
        tensors = _repeated(end, [*maps, *vector], entering)
        maps = tensors[: len(maps)]
        features = tensors[-1] if self.pooled else maps
        outputs, embedding = self.head(features), self._vector(features)
        found = (embedding, maps, outputs, self.decode(outputs))
        return ExplainableNetwork(
            keras.Model(pixels, values, name="first"), keras.Model(entering, found, name="rest")
        )

    def _chained(self, back: Callable[[Any], Any], name: str) -> keras.Model:
        pixels = keras.Input(self.body.input.shape[1:], dtype=self.body.input.dtype, name="pixels")
        return keras.Model(pixels, back(self.head(self.body(pixels))), name=name)


def _repeated(start: Any, ends: list[Any], entering: Any) -> list[Any]:
    """Applies the layers between tensors of a network, with their weights, to another tensor."""
    twin = keras.models.clone_model(
        keras.Model(start, ends), input_tensors=entering, clone_function=lambda layer: layer
    )
    return keras.tree.flatten(twin.output)


def build_network(
    model: Model, image: ImageSpec, objective: Objective, scale: BandScale | None = None
) -> Network:
    """Builds a fresh model for images of the spec's shape.

    Args:
        scale: scale of the bands; required where the spec names bands.

    Raises:
        ConfigError: the network or its weights do not exist or do not match.
    """
    if isinstance(model, SmallCnn):
        body = small_cnn_body(model, image, scale, objective.pooled)
    elif isinstance(model, Custom):
        body = custom_body(model, image, scale, objective.pooled)
    else:
        body = pretrained_body(model, image, scale, objective.pooled)
    features = keras.tree.map_structure(
        lambda output: keras.Input(output.shape[1:], dtype=output.dtype), body.output
    )
    outputs = objective.head(features, image, model.dropout)
    head = keras.Model(features, outputs, name="head")
    return Network(body, head, objective.decode, bool(model.augment), objective.pooled)
