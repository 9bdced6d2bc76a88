"""Export of a trained model as a SavedModel for TensorFlow Serving."""

from collections.abc import Callable
from functools import partial

import keras
import tensorflow as tf

from serving.contract.contract import CONTRACT_PATH, Contract
from serving.contract.reliability import UnknownScore
from serving.graph.explain import Traced
from serving.graph.signatures import Reliable, Signature, signatures
from serving.tasks.graph import Tensors


def export(
    model: keras.Model,
    contract: Contract,
    folder: str,
    explainable: keras.Model | None = None,
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
        embedded: with the weights of the model, as `Network.embedded` returns it, where answers
            carry more than the task's outputs (`serving.contract.reliability`).
        unknown: constants of the score of unknown imagery.
        explainable: with the weights of the model, as `Network.explainable` returns it; the
            SavedModel then explains its answers by the contract's `explanations`.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    gradients = None
    if explainable is not None:
        archive.track(explainable)
        gradients = partial(traced, explainable)
    reliable = None
    if embedded is not None:
        archive.track(embedded)
        reliable = Reliable(partial(embedded, training=False), unknown)
    plain = partial(model, training=False)
    for signature in signatures(plain, contract, gradients, reliable):
        archive.add_endpoint(signature.name, _traced_once(signature), [*signature.inputs])
    archive.write_out(folder, verbose=False)
    path = f"{folder}/{CONTRACT_PATH}"
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(contract.to_json())


def _traced_once(signature: Signature) -> Callable[..., Tensors]:
    """Returns a function that calls the graph of a signature.

    Keras traces an endpoint to find its variables and TensorFlow traces it again to save it.
    """
    graph = tf.function(signature.function, input_signature=signature.inputs, autograph=False)
    concrete = graph.get_concrete_function()
    return lambda *inputs: concrete(*inputs)


def traced(explainable: keras.Model, pixels: tf.Tensor) -> Traced:
    """Returns the outputs of `Network.explainable` for float pixels [N, H, W, C]."""
    embedding, maps, outputs, found = explainable(pixels, training=False)
    return Traced(embedding, maps, outputs, found)
