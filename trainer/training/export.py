"""Export of a trained model as a SavedModel for TensorFlow Serving."""

from functools import partial

import keras
import tensorflow as tf
from tensorflow.saved_model.experimental import TrackableResource

from serving.contract.contract import CONTRACT_PATH, Contract
from serving.contract.reliability import UnknownScore
from serving.graph.signatures import Reliable, Signature, signatures
from trainer.tasks.explainable import ExplainableNetwork

#: Packages whose layers keep their learnt state in Keras's variables.
_OF_VARIABLES = ("keras", "trainer")


def export(
    model: keras.Model,
    contract: Contract,
    folder: str,
    explainable: ExplainableNetwork | None = None,
    embedded: keras.Model | None = None,
    unknown: UnknownScore | None = None,
) -> None:
    """Writes the SavedModel with the signatures of the contract, and the contract in it.

    Args:
        model: pixels [N, H, W, C] (`serving.graph.inputs`) to the outputs of the contract's task
            (`serving.answers`). It is outside of any strategy, because a served graph cannot hold
            replicated variables.
        contract: inputs and outputs of the signatures.
        folder: receives saved_model.pb; local or remote.
        embedded: `Network.embedded`, with the same weights, where answers carry more than the
            task's outputs (`serving.contract.reliability`).
        unknown: constants of the score of unknown imagery.
        explainable: `Network.explainable`, with the same weights; the SavedModel then explains its
            answers by the contract's `explanations`.
    """
    gradients = None if explainable is None else explainable.graph()
    reliable = None
    if embedded is not None:
        reliable = Reliable(partial(embedded, training=False), unknown)
    plain = partial(model, training=False)
    graphs = {
        signature.name: _graph(signature)
        for signature in signatures(plain, contract, gradients, reliable)
    }
    parts = () if explainable is None else (explainable.first, explainable.rest)
    tf.saved_model.save(_weights(model, *parts, embedded), folder, signatures=graphs)
    path = f"{folder}/{CONTRACT_PATH}"
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(contract.to_json())


def _graph(signature: Signature) -> tf.types.experimental.ConcreteFunction:
    graph = tf.function(signature.function, input_signature=signature.inputs, autograph=False)
    return graph.get_concrete_function()


def _weights(*models: keras.Model | None) -> tf.Module:
    """Returns an object that owns everything that the graphs of the models read.

    Only graphs are served. Saved with the models themselves, as `keras.export.ExportArchive` does,
    every signature would be traced and written twice.
    """
    found = [model for model in models if model is not None]
    variables = [variable.value for model in found for variable in model.variables]
    layers = [layer for model in found for layer in model._flatten_layers()]
    holder = tf.Module()
    # The models share most of their variables.
    read = [*variables, *filter(_may_read_tables, layers)]
    holder.read = [*{id(one): one for one in read}.values()]
    return holder


def _may_read_tables(layer: keras.layers.Layer) -> bool:
    """Checks whether a layer may read more than Keras's variables, such as a table."""
    package = type(layer).__module__.partition(".")[0]
    children = layer._trackable_children().values()
    return package not in _OF_VARIABLES or any(
        isinstance(one, TrackableResource) for one in children
    )
