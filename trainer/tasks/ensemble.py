"""Several networks of one architecture as one: the mean of their answers, and disagreement."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from components.raster.task import Task
from serving.contract import reliability as contract
from serving.tasks.graph import task_graph
from serving.tasks.pooling import Pooled
from trainer.tasks.explainable import ExplainableNetwork
from trainer.tasks.network import Network


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Members whose mean is served, in the forms of one `Network`.

    Outputs are those of the served members, pooled (`TaskGraph.pool`), so that everything that is
    derived from one network's outputs is derived from them: answers, temperature, explanations.
    """

    members: tuple[Network, ...]
    task: Task

    @property
    def promised(self) -> contract.Ensemble:
        """The part of the contract that describes the ensemble."""
        measure = task_graph(self.task).disagreement
        return contract.Ensemble(members=len(self.members), disagreement=measure)

    def served(self) -> keras.Model:
        """Returns the model for inference: pixels to pooled outputs."""
        return _Joined(
            [member.served() for member in self.members],
            lambda outputs, pixels: self._pool(outputs, pixels).outputs,
        )

    def embedded(self) -> keras.Model:
        """Returns the same model with traits: all embeddings as one, and the disagreement."""

        def join(found: Sequence[Any], pixels: tf.Tensor) -> Any:
            pooled = self._pool([outputs for outputs, _ in found], pixels)
            embedding = tf.concat([traits["embedding"] for _, traits in found], axis=1)
            return pooled.outputs, {"embedding": embedding, "disagreement": pooled.disagreement}

        return _Joined([member.embedded() for member in self.members], join)

    def explainable(self) -> ExplainableNetwork:
        """Returns the model for explanations: the maps of all members, of which heat is the sum."""
        parts = [member.explainable() for member in self.members]

        def join(found: Sequence[Any], pixels: tf.Tensor) -> Any:
            embeddings, maps, _, outputs = zip(*found, strict=True)
            pooled = self._pool(outputs, pixels).outputs
            every_map = [each for of_member in maps for each in of_member]
            return tf.concat(embeddings, axis=1), every_map, pooled, pooled

        pixels = keras.Input(parts[0].first.input.shape[1:], dtype="float32", name="pixels")
        # Members have first layers of their own.
        whole = _Joined([part.whole() for part in parts], join)
        return ExplainableNetwork(keras.Model(pixels, pixels, name="first"), whole)

    def _pool(self, outputs: Sequence[tf.Tensor], pixels: tf.Tensor) -> Pooled:
        pooled = task_graph(self.task).pool(tf.stack(outputs), pixels)
        assert pooled is not None  # the configuration refuses such tasks
        return pooled


class _Joined(keras.Model):
    """Models of the same input as one.

    Args:
        members: take pixels.
        join: combines the results of all for the same pixels.
    """

    def __init__(
        self, members: Sequence[keras.Model], join: Callable[[Sequence[Any], tf.Tensor], Any]
    ) -> None:
        super().__init__(name="ensemble")
        self._members, self._join = [*members], join
        self.built = True  # as its members are

    def call(self, pixels: tf.Tensor, training: bool = False) -> Any:
        """Joins the members' results for pixels [N, H, W, C], in inference only."""
        return self._join([member(pixels, training=False) for member in self._members], pixels)
