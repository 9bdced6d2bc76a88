"""A network for explanations, in two parts."""

from dataclasses import dataclass
from functools import partial

import keras
import tensorflow as tf

from serving.graph.explain import Explainable, Traced


@dataclass(frozen=True, eq=False)
class ExplainableNetwork:
    """A network for explanations, which shares the weights of the served one.

    Attributes:
        first: float pixels [N, H, W, C] to values; affine at inference.
        rest: these values to the features as one vector, the last feature maps, if there are any,
            the outputs, and the served outputs.
    """

    first: keras.Model
    rest: keras.Model

    def graph(self) -> Explainable:
        """Returns the functions of which `serving_explain` is built."""
        return Explainable(partial(self.first, training=False), self._traced)

    def whole(self) -> keras.Model:
        """Returns both parts as one model."""
        pixels = keras.Input(self.first.input.shape[1:], dtype="float32", name="pixels")
        return keras.Model(pixels, self.rest(self.first(pixels)), name="explainable")

    def _traced(self, values: tf.Tensor) -> Traced:
        return Traced(*self.rest(values, training=False))
